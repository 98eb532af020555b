"""`./watchstack audit`: what is left of an environment that was taken down."""

import typer

from cli.common import AsJson, Config, Environment, answer, console, make_settings, refusals, waiting
from stacks.targets import live


def audit(environment: Environment = "local", config: Config = None, json: AsJson = False) -> None:
    """List what is there of an environment: nothing should be after `make down`. Exit 1 if there is something."""
    with refusals(as_json=json), waiting("looking", quiet=json):
        left = live.left(make_settings(environment, config))
    if json:
        answer({"environment": environment, "left": left})
    elif left:
        console.print(f"of environment {environment} there is still:\n" + "\n".join(left), markup=False)
    else:
        console.print(f"nothing is left of environment {environment}")
    if left:
        raise typer.Exit(1)
