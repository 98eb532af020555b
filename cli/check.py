"""`./watchstack check`: plan and judge an environment; nothing is touched."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

import checks
from checks import Result
from cli.common import AsJson, Config, Environment, answer, console, make_plan, refusals, say_pace, waiting
from stacks.plan import Plan

StackFile = Annotated[Path | None, typer.Option(help="A stack file to judge in place of the environment's own.")]


def check(
    environment: Environment = "local", config: Config = None, stack_file: StackFile = None, json: AsJson = False
) -> None:
    """Plan an environment and run every check on it. Nothing is touched. Exit 1 on any problem."""
    with refusals(as_json=json):
        made = make_plan(environment, config, stack_file)
        with waiting("checking", quiet=json):
            results = checks.run(made)
    if json:
        about = {"environment": environment, "fast_forward": made.settings.fast_forward}
        said = [_as_dict(result) for result in results]
        answer({**about, "checks": said, "warnings": checks.warnings(made)})
    else:
        _print(made, results)
    if any(result.problems for result in results):
        raise typer.Exit(1)


def _print(plan: Plan, results: list[Result]) -> None:
    table = Table("check", "result", "seconds", title=f"{plan.settings.environment}: {len(plan.services)} services")
    for result in results:
        verdict = "[red]refused" if result.problems else "[green]passed" + (" (before)" if result.remembered else "")
        table.add_row(result.check, verdict, f"{result.seconds:.2f}")
    console.print(table)
    say_pace(plan)
    for warning in checks.warnings(plan):
        check, _, said = warning.partition(": ")
        console.print(f"[yellow]{check}[/]: {escape(said)}", soft_wrap=True, highlight=False)
    for left_out in plan.left_out:
        console.print(f"[dim]left out: {escape(left_out.what)}: {escape(left_out.because)}", soft_wrap=True)
    for result in results:
        for problem in result.problems:
            console.print(f"[red]{result.check}[/]: {escape(problem)}", soft_wrap=True, highlight=False)


def _as_dict(result: Result) -> dict[str, object]:
    return {"check": result.check, "problems": list(result.problems), "seconds": round(result.seconds, 3)}
