"""All panel queries of Boss Workflow's dashboard through its recording rules, against the same without them.

A Prometheus of its own holds what so many replicas of the application expose that there are 100,000 series, a sample
a minute. The rules' series are what promtool makes of the pack for that time. A query is sent as Grafana sends it.
"""

import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import httpx
import tenacity

import dashboards
import rules
from benchmarks.result import Result
from dashboards import PanelQuery, boss_workflow
from dashboards.datasources import PROMETHEUS
from toolchain import programs
from workloads.boss_workflow import BossWorkflow

ROUNDS = 3
SERIES = 100_000
SCRAPE_SECONDS = 60
# Half an hour is shown; what a rate looks back on comes before it.
RANGE_SECONDS = 1800
BEFORE_SECONDS = 600
STEP_SECONDS = 15
BLOCK_SECONDS = 7200
ADDRESS = "127.0.0.1:47311"

_NAME = re.compile(r"[\w:]+")


class Failed(Exception):
    """A program ended that should not have, and what it said."""


class Different(Exception):
    """A query finds nothing, or another number of series with recording rules than without."""


def measure(directory: Path) -> Result:
    """Seconds for the queries, one after the other, both ways in turn."""
    data = directory / "recorded"
    # In one block of Prometheus's, and over.
    start = int(time.time()) // BLOCK_SECONDS * BLOCK_SECONDS - BLOCK_SECONDS
    end = start + BEFORE_SECONDS + RANGE_SECONDS
    _fill(data, start, end)
    through = [query for query in dashboards.queries(boss_workflow.board()) if query.datasource == PROMETHEUS.uid]
    records = {
        record.name: record.expr for file in rules.pack("boss-workflow", "v1", {}).files for record in file.records
    }
    with _prometheus(data) as client:
        pairs = [_pair(client, through, records, end) for _ in range(ROUNDS + 1)][1:]
    ours, theirs = zip(*pairs, strict=True)
    name = f"{len(through)} panel queries through recording rules / without, {SERIES:,} series"
    return Result(name=name, ours=ours, theirs=theirs, unit="s", limit=0.2)


def inlined(expr: str, records: Mapping[str, str]) -> str:
    """The query without recording rules: what is recorded stands in it instead. Records here have no matchers."""
    return _NAME.sub(lambda found: f"({records[found[0]]})" if found[0] in records else found[0], expr)


def exposition(lines: Sequence[str], replicas: int, times: Sequence[int]) -> Iterator[str]:
    """OpenMetrics of so many replicas. Every sample grows at a pace of its own, a bucket faster than the one before."""
    series = [_series(line, replica) for replica in range(replicas) for line in lines]
    for at, stamp in enumerate(times):
        yield from (f"{name} {at * pace} {stamp}\n" for name, pace in zip(series, count(1), strict=False))
    yield "# EOF\n"


def _series(line: str, replica: int) -> str:
    """A line of the application's exposition without its value, as a scrape of this replica would keep it."""
    name, _, labels = line.rpartition(" ")[0].partition("{")
    target = f'job="{boss_workflow.SYSTEM}",instance="replica-{replica}"'
    return f"{name}{{{target},{labels}" if labels else f"{name}{{{target}}}"


def _fill(data: Path, start: int, end: int) -> None:
    """What the replicas expose, and then what the rules make of it."""
    data.mkdir()
    text = BossWorkflow(1, pace=0).metrics.exposition()[0].decode()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    replicas = -(-SERIES // len(lines))
    samples = data.with_name("samples.txt")
    with samples.open("w") as file:
        file.writelines(exposition(lines, replicas, range(start, end + 1, SCRAPE_SECONDS)))
    _promtool("openmetrics", str(samples), str(data))
    samples.unlink()
    pack = rules.DIRECTORY / boss_workflow.SYSTEM / "v1" / "recording.yml"
    with _prometheus(data):
        asked = [f"--url=http://{ADDRESS}", f"--start={start}", f"--end={end}", f"--eval-interval={SCRAPE_SECONDS}s"]
        _promtool("rules", *asked, f"--output-dir={data}", str(pack))


def _promtool(source: str, *arguments: str) -> None:
    line = [str(programs.program("promtool")), "tsdb", "create-blocks-from", source, *arguments]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"promtool tsdb create-blocks-from {source}: {done.stderr}")


@contextmanager
def _prometheus(data: Path) -> Iterator[httpx.Client]:
    """A Prometheus that scrapes nothing, on these data. It knows the blocks that are there when it starts."""
    config = data.with_name("prometheus.yml")
    config.write_text("{}\n")
    line = [str(programs.program("prometheus")), f"--config.file={config}", f"--storage.tsdb.path={data}"]
    said = data.with_name("prometheus.log")
    with said.open("w") as log:
        process = subprocess.Popen([*line, f"--web.listen-address={ADDRESS}"], stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://{ADDRESS}", timeout=300) as client:
            _wait(client, process, said)
            yield client
    finally:
        process.terminate()
        process.wait()


@tenacity.retry(
    retry=tenacity.retry_if_exception_type(httpx.HTTPError),
    stop=tenacity.stop_after_delay(120),
    wait=tenacity.wait_fixed(0.2),
    reraise=True,
)
def _wait(client: httpx.Client, process: subprocess.Popen[bytes], said: Path) -> None:
    """Until it is ready. Another Prometheus on the address would end this one."""
    answer = client.get("/-/ready")
    if process.poll() is not None:
        raise Failed(said.read_text())
    answer.raise_for_status()


def _pair(
    client: httpx.Client, queries: Sequence[PanelQuery], records: Mapping[str, str], end: int
) -> tuple[float, float]:
    ours = theirs = 0.0
    for query in queries:
        seconds, series = _asked(client, query, query.expr, end)
        ours += seconds
        seconds, raw = _asked(client, query, inlined(query.expr, records), end)
        theirs += seconds
        if not series == raw > 0:
            raise Different(f"{query.panel}: {series} series with recording rules, {raw} without")
    return ours, theirs


def _asked(client: httpx.Client, query: PanelQuery, expr: str, end: int) -> tuple[float, int]:
    """Seconds until the whole answer is there, and the series in it."""
    asked = {"query": dashboards.runnable(expr, STEP_SECONDS, RANGE_SECONDS)}
    path = "/api/v1/query"
    if query.instant:
        asked["time"] = str(end)
    else:
        path += "_range"
        asked |= {"start": str(end - RANGE_SECONDS), "end": str(end), "step": str(STEP_SECONDS)}
    begun = time.perf_counter()
    answer = client.post(path, data=asked)
    seconds = time.perf_counter() - begun
    answer.raise_for_status()
    return seconds, len(answer.json()["data"]["result"])
