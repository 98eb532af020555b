"""All dashboards and rules rendered, against go-jsonnet, by the panel or rule, each side one process.

Ours is cold: nothing is remembered. Theirs are the alerts and rules of two public mixins, which travel inside the Go
modules of Prometheus and node_exporter, as often as it takes to have as many rules. For panels there are two answers:

- plain: the panels of our dashboards, from a small library in jsonnet (panels.libsonnet), less than any mixin uses;
- the mixins' own. They need grafonnet, which no Go module carries: only where JSONNET_PATH, which go-jsonnet reads
  too, has it, as jsonnet-bundler leaves it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from e2e.environments import ROOT
from rich.console import Console

import dashboards
from benchmarks.cost import Cost, cold, cost, results
from benchmarks.result import Result
from dashboards.board import Board, Panel, Place, with_refs
from toolchain.install import install
from toolchain.programs import Absent, Installed, ProgramMissing
from toolchain.versions import GO

ROUNDS = 5
LIMIT = 0.4
# With so many of both mixins there are as many rules as ours, and as many panels.
COPIES = 3

_FILES = """
local files(name, mixin) = {
  [name + 'alerts.json']: mixin.prometheusAlerts,
  [name + 'rules.json']: std.get(mixin, 'prometheusRules', { groups: [] }, inc_hidden=true),
} + {
  [name + each]: mixin.grafanaDashboards[each]
  for each in std.objectFields(std.get(mixin, 'grafanaDashboards', {}, inc_hidden=true))
};
"""
_GRAFONNET = "github.com/grafana/grafonnet/gen/grafonnet-latest/main.libsonnet"


class Mixin(NamedTuple):
    """`parts` are the files that need no dashboard library; `selector` is the setting that makes a copy another one."""

    product: str
    module: str
    folder: str
    parts: tuple[str, ...]
    selector: str


MIXINS = (
    Mixin(
        product="prometheus",
        module="github.com/prometheus/prometheus",
        folder="documentation/prometheus-mixin",
        parts=("config.libsonnet", "alerts.libsonnet"),
        selector="prometheusSelector",
    ),
    Mixin(
        product="node_exporter",
        module="github.com/prometheus/node_exporter",
        folder="docs/node-mixin",
        parts=("config.libsonnet", "alerts/alerts.libsonnet", "rules/rules.libsonnet"),
        selector="nodeExporterSelector",
    ),
)


def measure(directory: Path) -> list[Result]:
    program = _installed().programs["jsonnet"]
    sources = [(mixin, _source(mixin)) for mixin in MIXINS]
    boards = [dashboards.build(name) for name in dashboards.names()]
    place = directory / "jsonnet"
    place.mkdir()
    written = {"plain panels": f"{dashboards_text(boards)} + {mixins_text(sources)}"}
    if any((Path(each) / _GRAFONNET).is_file() for each in os.environ.get("JSONNET_PATH", "").split(os.pathsep)):
        written["mixins with grafonnet"] = mixins_text(sources, whole=True)
    found = []
    for number, (name, text) in enumerate(written.items()):
        file = place / f"{number}.jsonnet"
        file.write_text(text + "\n")
        pairs = [_pair(place / f"{number}-{turn}", program, file) for turn in range(ROUNDS + 1)][1:]
        mine, theirs = zip(*pairs, strict=True)
        found += results(f"a panel or rule / go-jsonnet, {name}", mine, theirs, LIMIT, "ms")
    return found


def _installed() -> Installed:
    (found,) = install(["jsonnet"], Console(stderr=True, force_terminal=False))
    if isinstance(found, Absent):
        raise ProgramMissing(f"jsonnet: {found.reason}")
    return found


def _source(mixin: Mixin) -> Path:
    line = ["go", "mod", "download", "-json", mixin.module]
    done = subprocess.run(line, cwd=GO / mixin.product, check=True, stdout=subprocess.PIPE)
    return Path(json.loads(done.stdout)["Dir"]) / mixin.folder


def _pair(place: Path, program: Path, file: Path) -> tuple[Cost, Cost]:
    """Ours and theirs once, each by the panel or rule that it left."""
    place.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "WATCHSTACK_CACHE": str(cold(place / "cache"))}
    mine = cost([[sys.executable, "-m", "benchmarks.everything", str(place / "ours")]], ROOT, environment)
    theirs = cost([[str(program), "-c", "-m", str(place / "theirs"), str(file)]], ROOT, os.environ)
    return mine.per(sum(counted(place / "ours"))), theirs.per(sum(counted(place / "theirs")))


def counted(place: Path) -> tuple[int, int]:
    """Panels, rows too, and rules of the files in a directory."""
    panels = rules = 0
    for file in place.rglob("*.*"):
        document = json.loads(file.read_text()) if file.suffix == ".json" else _yaml(file)
        panels += _panels(document)
        rules += sum(len(group["rules"]) for group in document.get("groups", ()))
    return panels, rules


def _yaml(file: Path) -> Any:
    return yaml.load(file.read_text(), Loader=yaml.CSafeLoader)


def _panels(holder: Any) -> int:
    """A collapsed row holds panels of its own."""
    return sum(1 + _panels(panel) for panel in holder.get("panels", ()))


def mixins_text(sources: Sequence[tuple[Mixin, Path]], *, whole: bool = False) -> str:
    """A jsonnet object: a file each for alerts, rules and, of whole mixins, each dashboard, of every copy."""
    made = []
    for copy, (mixin, source) in product(range(COPIES), sources):
        parts = " + ".join(f"(import '{source / part}')" for part in (("mixin.libsonnet",) if whole else mixin.parts))
        selected = f"{{ _config+:: {{ {mixin.selector}: 'job=\"copy-{copy}\"' }} }}"
        made.append(f"files('{mixin.product}-{copy}-', {parts} + {selected})")
    return f"({_FILES}{' + '.join(made)})"


def dashboards_text(boards: Sequence[Board]) -> str:
    """A jsonnet object: a file a dashboard, each panel a call of its own."""
    files = [f"  {_said(f'{board.uid}.json')}: {_dashboard(board)},\n" for board in boards]
    return f"local p = import '{Path(__file__).parent / 'panels.libsonnet'}';\n{{\n{''.join(files)}}}"


def _dashboard(board: Board) -> str:
    panels = "".join(f"    {_panel(number, *each)},\n" for number, each in enumerate(board.placed(), 1))
    return f"p.dashboard({_said(board.uid, board.title, board.description)}, [\n{panels}  ])"


def _panel(number: int, panel: Panel, place: Place) -> str:
    parts = [
        f"p.timeseries({_said(number, panel.title)})",
        f"p.description({_said(panel.description)})",
        f"p.unit({_said(panel.unit)})",
        f"p.place({_said(place.x, place.y, place.width, place.height)})",
    ]
    queries = [
        f"p.query({_said(ref, query.expr, query.legend, query.instant)})" for ref, query in with_refs(panel.queries)
    ]
    links = [f"p.link({_said(link.title, link.url, link.keeps_time)})" for link in panel.links]
    return " + ".join([*parts, *queries, *links])


def _said(*values: Any) -> str:
    """Arguments of a call: JSON is jsonnet."""
    return ", ".join(json.dumps(value) for value in values)
