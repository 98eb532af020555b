"""What the verbs share: the environment asked for, its Plan, and the two ways to answer."""

import json
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from stacks import plan, settings
from stacks.plan import Plan
from stacks.settings import Settings
from stacks.strict import Refused
from stacks.targets.home import missing
from toolchain.programs import ProgramMissing

# One an alert.
_RUNBOOKS = Path(__file__).resolve().parents[1] / "docs" / "runbooks"


def complete_environment(incomplete: str) -> list[str]:
    """For the shell: the environments whose names begin so."""
    return [name for name in settings.environments() if name.startswith(incomplete)]


def complete_alert(incomplete: str) -> list[str]:
    """For the shell: the shipped alerts whose names begin so."""
    return sorted(page.stem for page in _RUNBOOKS.glob("*.md") if page.stem.startswith(incomplete))


Environment = Annotated[
    str,
    typer.Option(
        "-e",
        "--environment",
        metavar="ENV",
        help="The environment: stacks/env/Pulumi.ENV.yaml.",
        autocompletion=complete_environment,
    ),
]
Config = Annotated[
    list[str] | None, typer.Option("-c", "--config", metavar="KEY=VALUE", help="A setting, over the stack file's.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON, for machines.")]

# A log has no width: there a table may be as wide as its URLs.
console = Console(width=None if sys.stdout.isatty() else 120)
_errors = Console(stderr=True)


def waiting(for_what: str, *, quiet: bool = False) -> AbstractContextManager[object]:
    """Show on a terminal what is waited for, as long as a block takes."""
    return nullcontext() if quiet else console.status(for_what)


def make_plan(environment: str, config: Sequence[str] | None = None, stack_file: Path | None = None) -> Plan:
    """The Plan of an environment, from its own stack file or from another, with the changes of `config`."""
    path = stack_file or settings.stack_file(environment)
    with _placed(path):
        wanted = settings.from_stack_file(path, environment, _changes(config))
        return plan.make(wanted, missing(wanted.target))


def make_settings(environment: str, config: Sequence[str] | None = None) -> Settings:
    """The settings of an environment alone, with the changes of `config`."""
    path = settings.stack_file(environment)
    with _placed(path):
        return settings.from_stack_file(path, environment, _changes(config))


@contextmanager
def _placed(path: Path) -> Iterator[None]:
    try:
        yield
    except Refused as refused:
        raise Refused(settings.placed(str(refused), path)) from None


def _changes(config: Sequence[str] | None) -> dict[str, str]:
    return dict(_change(text) for text in config or ())


def _change(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise Refused(f"--config {text!r}: give KEY=VALUE, such as target=local")
    return key, value


def say_pace(plan: Plan) -> None:
    """Say so where an environment does not judge in real time."""
    if plan.settings.fast_forward > 1:
        console.print(f"[yellow]fast forward x{plan.settings.fast_forward}: waits and ranges are shortened")


@contextmanager
def refusals(*, as_json: bool) -> Iterator[None]:
    """Say what was refused, on standard error or as JSON, and exit with 2."""
    try:
        yield
    except (Refused, ProgramMissing) as refused:
        if as_json:
            answer({"refused": str(refused).splitlines()})
        else:
            _errors.print("[bold red]refused")
            _errors.print(str(refused), highlight=False, soft_wrap=True, markup=False, emoji=False)
        raise typer.Exit(2) from None


@contextmanager
def ending_well() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does: with its `finally`, so that what it changed is put back."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def answer(value: object) -> None:
    """JSON on standard output, with sorted keys."""
    sys.stdout.write(json.dumps(value, indent=2, sort_keys=True) + "\n")
