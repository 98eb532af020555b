"""`./watchstack drift`: where an environment is not what its code says."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from cli.common import AsJson, Config, Environment, answer, console, make_plan, refusals, waiting
from toolchain import remember

Textfile = Annotated[
    Path | None, typer.Option(help="Also write the result as metrics, for node-exporter's textfile collector.")
]


def drift(
    environment: Environment = "local", config: Config = None, textfile: Textfile = None, json: AsJson = False
) -> None:
    """Compare resources, files, loaded configuration and dashboards with the code. Exit 1 on drift, 2 if refused."""
    from cli import differences  # noqa: PLC0415 - its parser is for this verb alone

    with refusals(as_json=json), waiting("comparing", quiet=json):
        found = list(differences.find(make_plan(environment, config), config or ()))
    if textfile:
        counts = Counter(one.part for one in found)
        remember.keep(textfile, _metrics(environment, {part: counts[part] for part in differences.PARTS}, time.time()))
    if json:
        answer({"environment": environment, "drift": [asdict(one) for one in found]})
    else:
        for one in found:
            console.print(
                f"[red]{one.part}[/]: {escape(one.what)}: {escape(one.detail)}", highlight=False, soft_wrap=True
            )
        if not found:
            console.print(f"[green]environment {environment} is what its code says")
    if found:
        raise typer.Exit(1)


def _metrics(environment: str, counts: dict[str, int], now: float) -> str:
    """The result in Prometheus' text format. `of` is the environment: that label is Prometheus' own to give."""
    lines: Sequence[str] = [
        "# HELP watchstack_environment_drift Differences between an environment and its code, as last looked at.",
        "# TYPE watchstack_environment_drift gauge",
        *(f'watchstack_environment_drift{{of="{environment}",part="{part}"}} {n}' for part, n in counts.items()),
        "# HELP watchstack_environment_drift_checked_timestamp_seconds When that was.",
        "# TYPE watchstack_environment_drift_checked_timestamp_seconds gauge",
        f'watchstack_environment_drift_checked_timestamp_seconds{{of="{environment}"}} {now:.0f}',
    ]
    return "\n".join(lines) + "\n"
