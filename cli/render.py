"""`./watchstack render`: every file of an environment, as it would be deployed."""

from pathlib import Path
from typing import Annotated

import typer

from cli.check import StackFile
from cli.common import AsJson, Config, Environment, answer, console, make_plan, refusals
from stacks import render as rendering
from stacks.strict import Refused


def render(
    out: Annotated[Path, typer.Option(help="A directory that is empty or not there yet.")],
    environment: Environment = "local",
    config: Config = None,
    stack_file: StackFile = None,
    json: AsJson = False,
) -> None:
    """Write every file as it would be deployed, one directory a service. Secrets show as references."""
    with refusals(as_json=json):
        if out.exists() and any(out.iterdir()):
            raise Refused(f"--out {out}: not empty; name an empty directory, so that no older file mixes in")
        files = rendering.tree(make_plan(environment, config, stack_file))
        rendering.write(files, out)
    if json:
        answer({"out": str(out), "files": list(files)})
    else:
        console.print(f"{len(files)} files in {out}")
