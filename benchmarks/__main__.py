"""`make benchmark`: measure, print the ratios with the absolute figures beside them, exit 1 over a limit."""

import argparse
import json
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from e2e.environments import Environment, clone
from rich.console import Console
from rich.table import Table

from benchmarks import checks, instrument, memory, noop_up, rendering, validation
from benchmarks.result import Result


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", action="store_true", help="answer in JSON, for machines")
    options = parser.parse_args()
    # A background job ignores SIGINT, and so would Pulumi's plugins: the engine would wait seconds for each to end.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    results = _measure(Console(stderr=True))
    if options.json:
        rows = [{**asdict(result), "value": result.value, "met": result.met} for result in results]
        sys.stdout.write(json.dumps(rows, indent=2, sort_keys=True) + "\n")
    else:
        _print(results)
    return int(not all(result.met for result in results))


def _measure(progress: Console) -> list[Result]:
    with tempfile.TemporaryDirectory(prefix="watchstack-benchmark-") as name, progress.status("measuring") as status:
        directory = Path(name)
        results = [
            *instrument.measure(),
            checks.measure(),
            rendering.measure(directory),
            *validation.measure(directory),
        ]
        environment = Environment("one", clone(directory))
        environment.write()
        try:
            environment.up()
            status.update("measuring no-op updates")
            results.append(noop_up.measure(environment, directory))
            status.update(f"measuring memory, {2 * memory.ROUNDS} times {memory.SETTLE_SECONDS} seconds")
            results.append(memory.measure(environment))
        finally:
            environment.down()
    return results


def _print(results: list[Result]) -> None:
    table = Table("measured", "value", "limit", "ours", "theirs")
    for result in results:
        verdict = "[green]" if result.met else "[red]"
        ours, theirs = result.spread(result.ours), result.spread(result.theirs)
        table.add_row(result.name, f"{verdict}{result.value:.3f}", f"{result.limit:g}", ours, theirs)
    Console(width=None if sys.stdout.isatty() else 160).print(table)


if __name__ == "__main__":
    sys.exit(main())
