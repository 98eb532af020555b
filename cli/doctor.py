"""`./watchstack doctor`: what is missing or wrong, on this machine and in an environment, and what mends it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import typer
from rich.markup import escape
from rich.table import Table

from cli import findings
from cli.common import AsJson, Config, Environment, answer, console, make_plan, make_settings, waiting
from cli.findings import Finding
from stacks.strict import Refused

_COLOURS = {"well": "green", "doubtful": "yellow", "wrong": "red"}


def doctor(environment: Environment = "local", config: Config = None, json: AsJson = False) -> None:
    """Look at this machine and at an environment, and name the command that mends what is wrong. Exit 1 if any is."""
    looks: list[Callable[[], list[Finding]]] = [
        lambda: [findings.python(), findings.pins(), findings.clock(), findings.limits()],
        lambda: [*findings.tools()],
        lambda: [findings.backend(), findings.passphrase()],
        lambda: [findings.runs(environment)],
        lambda: [*_of_environment(environment, config)],
    ]
    with waiting("looking", quiet=json), ThreadPoolExecutor() as pool:
        found = [one for look in pool.map(lambda look: look(), looks) for one in look]
    if json:
        answer({"environment": environment, "findings": [asdict(one) for one in found]})
    else:
        _print(environment, found)
    if any(one.state == "wrong" for one in found):
        raise typer.Exit(1)


def _of_environment(environment: str, config: list[str] | None) -> Iterator[Finding]:
    try:
        settings = make_settings(environment, config)
        yield findings.ground(settings)
        yield findings.plugin(settings)
        plan = make_plan(environment, config)
    except Refused as refused:
        mend = f"./watchstack check -e {environment}, after each edit of the stack file"
        for line in str(refused).splitlines():
            yield Finding(part="stack file", state="wrong", detail=line, mend=mend)
        return
    yield Finding(part="stack file", state="well", detail=f"{len(plan.services)} services are planned")
    yield from (findings.ports_free(plan), findings.room(plan), findings.secret_files(plan))


def _print(environment: str, found: list[Finding]) -> None:
    table = Table("part", "state", "what", title=f"this machine, and environment {environment}")
    for one in found:
        table.add_row(one.part, f"[{_COLOURS[one.state]}]{one.state}", escape(one.detail))
    console.print(table)
    for one in found:
        if one.mend:
            console.print(f"[{_COLOURS[one.state]}]{one.part}[/]: {escape(one.mend)}", soft_wrap=True, highlight=False)
