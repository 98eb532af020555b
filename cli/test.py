"""`./watchstack test`: lint the rule packs and run their unit tests, as far as anything has changed."""

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from cli.common import AsJson, answer, console, refusals
from rules import promtool, validate
from rules.validate import Verdict

Packs = Annotated[list[str] | None, typer.Argument(metavar="[PACK]...", help="Such as platform. All if none is named.")]


def test(packs: Packs = None, json: AsJson = False) -> None:
    """Lint the rule packs and run their unit tests. What passed and is unchanged is not run. Exit 1 on any problem."""
    start = time.monotonic()
    with refusals(as_json=json):
        verdicts = _judged(promtool.homes(packs or ()))
    seconds = time.monotonic() - start
    if json:
        answer({"seconds": round(seconds, 3), "files": [_as_dict(verdict) for verdict in verdicts]})
    else:
        _print(verdicts, seconds)
    if any(verdict.problem for verdict in verdicts):
        raise typer.Exit(1)


def _judged(homes: Sequence[Path]) -> list[Verdict]:
    """The verdicts by file. A bar shows on a terminal while they come."""
    count = sum(len(promtool.rule_files(home)) + len(promtool.test_files(home)) for home in homes)
    bar = Console(stderr=True)
    found = track(validate.verdicts(homes), "testing", count, console=bar, disable=not bar.is_terminal, transient=True)
    return sorted(found, key=lambda verdict: verdict.file)


def _print(verdicts: Sequence[Verdict], seconds: float) -> None:
    table = Table("pack", "result", "files", "as before", title=f"rules and their tests, in {seconds:.1f} s")
    files = Counter(verdict.pack for verdict in verdicts)
    before = Counter(verdict.pack for verdict in verdicts if verdict.remembered)
    failed = {verdict.pack for verdict in verdicts if verdict.problem}
    for pack, count in files.items():
        table.add_row(pack, "[red]failed" if pack in failed else "[green]passed", str(count), str(before[pack]))
    console.print(table)
    for verdict in verdicts:
        if verdict.problem:
            console.print(f"[red]rules/{verdict.file}[/]", escape(verdict.problem), soft_wrap=True, highlight=False)


def _as_dict(verdict: Verdict) -> dict[str, object]:
    return {
        "file": f"rules/{verdict.file}",
        "problem": verdict.problem,
        "remembered": verdict.remembered,
        "seconds": round(verdict.seconds, 3),
    }
