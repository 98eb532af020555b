"""`./watchstack size`: what Prometheus needs, for an environment or for a number of series."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from cli.common import AsJson, Config, answer, complete_environment, console, make_plan, refusals
from stacks import sizing
from stacks.sizing import Load, Size
from stacks.strict import Refused
from stacks.units import duration, rounded

_DAY = 86400

Environment = Annotated[
    str | None,
    typer.Option(
        "-e",
        "--environment",
        metavar="ENV",
        help="The environment whose targets count. `local` without --series.",
        autocompletion=complete_environment,
    ),
]
Series = Annotated[int | None, typer.Option(min=1, metavar="N", help="So many active series, in place of targets.")]
Interval = Annotated[str, typer.Option(help="With --series: how often each has a sample.")]
Retention = Annotated[str, typer.Option(help="With --series: how long samples are kept.")]
Replicas = Annotated[int, typer.Option(min=1, max=5, help="With --series: how many Prometheus do the same.")]


def size(
    environment: Environment = None,
    series: Series = None,
    interval: Interval = "15s",
    retention: Retention = "15d",
    replicas: Replicas = 2,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Reckon memory, processors and disk of Prometheus, and say what to do where one is not enough."""
    with refusals(as_json=json):
        if series is None:
            plan = make_plan(environment or "local", config)
            load = sizing.of_jobs(plan.settings, plan.jobs)
        elif environment or config:
            raise Refused("--series: counts in place of an environment; give it without --environment and --config")
        else:
            load = _of_series(series, interval, retention, replicas)
    if json:
        answer(_facts(load))
    else:
        _print(load)


def _of_series(series: int, interval: str, retention: str, replicas: int) -> Load:
    try:
        return sizing.of_series(series, interval, retention, replicas)
    except ValueError as problem:
        raise Refused(f"--interval {interval}, --retention {retention}: {problem}") from None


def _facts(load: Load) -> dict[str, object]:
    each, count = sizing.needed(sizing.shard(load)), sizing.shards(load) * load.replicas
    return {
        "load": asdict(load),
        "shards": sizing.shards(load),
        "prometheus": {"count": count, "each": asdict(each), "all": asdict(each.times(count))},
        "mimir": asdict(sizing.mimir(load)),
        "advice": list(sizing.advice(load)),
    }


def _print(load: Load) -> None:
    each, count = sizing.needed(sizing.shard(load)), sizing.shards(load) * load.replicas
    kept = f"kept for {_days(load.retention)}"
    console.print(f"{load.series:,} series, {load.samples:,.0f} samples a second, {kept}", highlight=False)
    table = Table("", "processors", "memory", "disk")
    table.add_row("one Prometheus", *_cells(each))
    if count > 1:
        table.add_row(f"all {count}", *_cells(each.times(count)))
    if sizing.shard(load).sending:
        table.add_row("a Mimir that they send to", *_cells(sizing.mimir(load)))
    console.print(table)
    for line in sizing.advice(load):
        console.print(line, highlight=False)


def _cells(size: Size) -> tuple[str, str, str]:
    return str(size.processors), rounded(size.memory), rounded(size.disk)


def _days(length: float) -> str:
    return duration(length) if length % _DAY else f"{length / _DAY:.0f} d"
