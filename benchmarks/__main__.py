"""`make benchmark`: measure, print the ratios with the absolute figures beside them, exit 1 over a limit.

`python -m benchmarks NAME` measures only that; `environment` is what needs one that is up.
"""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Callable, Collection
from dataclasses import asdict
from pathlib import Path

from e2e.environments import Environment, clone
from rich.console import Console
from rich.status import Status
from rich.table import Table

from benchmarks import checks, docker, instrument, jsonnet, kubernetes, memory, noop_up, recorded, rendering, validation
from benchmarks.result import Result
from stacks.strict import nearest

ALONE: dict[str, Callable[[Path], list[Result]]] = {
    "instrument": lambda _: instrument.measure(),
    "checks": lambda _: [checks.measure()],
    "rendering": lambda directory: [rendering.measure(directory)],
    "validation": validation.measure,
    "jsonnet": jsonnet.measure,
    "recorded": lambda directory: [recorded.measure(directory)],
    "docker": docker.measure,
    "kubernetes": kubernetes.measure,
}
ENVIRONMENT = "environment"
NAMES = (*ALONE, ENVIRONMENT)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; all without")
    parser.add_argument("--json", action="store_true", help="answer in JSON, for machines")
    options = parser.parse_args()
    if unknown := sorted({*options.names} - {*NAMES}):
        parser.error("; ".join(f"no benchmark {name!r}: {nearest(name, list(NAMES))}" for name in unknown))
    # A background job ignores SIGINT, and so would Pulumi's plugins: the engine would wait seconds for each to end.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    results = _measure(options.names or NAMES, Console(stderr=True))
    if options.json:
        rows = [{**asdict(result), "value": result.value, "met": result.met} for result in results]
        sys.stdout.write(json.dumps(rows, indent=2, sort_keys=True) + "\n")
    else:
        _print(results)
    return int(not all(result.met for result in results))


def _measure(names: Collection[str], progress: Console) -> list[Result]:
    with tempfile.TemporaryDirectory(prefix="watchstack-benchmark-") as name, progress.status("measuring") as status:
        directory = Path(name)
        results = []
        for each, measure in ALONE.items():
            if each in names:
                status.update(f"measuring {each}")
                results += measure(directory)
        if ENVIRONMENT in names:
            results += _in_environment(directory, status)
    return results


def _in_environment(directory: Path, status: Status) -> list[Result]:
    environment = Environment("one", clone(directory))
    environment.write()
    with environment.running():
        status.update("measuring no-op updates")
        no_op = noop_up.measure(environment, directory)
        status.update(f"measuring memory, {2 * memory.ROUNDS} times {memory.SETTLE_SECONDS} seconds")
        return [no_op, memory.measure(environment)]


def _print(results: list[Result]) -> None:
    table = Table("measured", "value", "limit", "ours", "theirs")
    for result in results:
        verdict = "[green]" if result.met else "[red]"
        ours, theirs = result.spread(result.ours), result.spread(result.theirs)
        table.add_row(result.name, f"{verdict}{result.value:.3f}", f"{result.limit:g}", ours, theirs)
    Console(width=None if sys.stdout.isatty() else 160).print(table)


if __name__ == "__main__":
    sys.exit(main())
