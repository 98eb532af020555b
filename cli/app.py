"""The command `./watchstack`: one verb a module."""

import typer

from cli.audit import audit
from cli.check import check
from cli.dashboards import dashboards
from cli.diff import diff
from cli.doctor import doctor
from cli.drift import drift
from cli.drill import drill
from cli.fire import fire
from cli.new import new
from cli.picture import picture
from cli.pin import pin
from cli.promote import promote
from cli.reap import reap
from cli.render import render
from cli.selftest import selftest
from cli.size import size
from cli.status import status
from cli.test import test

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Monitoring stacks, as code.",
)
VERBS = (
    audit,
    check,
    diff,
    doctor,
    drift,
    drill,
    fire,
    picture,
    pin,
    promote,
    reap,
    render,
    selftest,
    size,
    status,
    test,
)
for verb in VERBS:
    app.command()(verb)
app.add_typer(dashboards, name="dashboards")
app.add_typer(new, name="new")

if __name__ == "__main__":
    app(prog_name="watchstack")  # what the shell completes is the word after its last slash
