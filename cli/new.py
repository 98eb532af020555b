"""`./watchstack new system`: a monitored system from a live `/metrics`."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.common import AsJson, answer, console, refusals, waiting
from stacks.strict import Refused

ROOT = Path(__file__).resolve().parents[1]

new = typer.Typer(no_args_is_help=True, help="Begin something new.")

Name = Annotated[str, typer.Argument(help="Its name: small letters, digits and dashes.")]
Url = Annotated[str, typer.Option("--from-metrics", metavar="URL", help="Where the application shows its metrics now.")]


@new.callback()
def _group() -> None:
    """Begin something new."""


@new.command()
def system(name: Name, from_metrics: Url, json: AsJson = False) -> None:
    """Scaffold a system: profile, rule pack with tests, dashboard, pages and stack file. All of it, or nothing."""
    import scaffold  # noqa: PLC0415 - its parser and HTTP client are for this verb alone

    with refusals(as_json=json):
        with waiting("reading the metrics", quiet=json):
            wanted = scaffold.files(name, from_metrics, ROOT)
        with waiting("writing and checking", quiet=json), scaffold.written(name, wanted, ROOT):
            _demand(name)
    lacking = scaffold.lacking(wanted, name)
    following = ["make generate", f"./watchstack check -e {name}", f"make up ENV={name}"]
    if json:
        answer({"system": name, "files": sorted(wanted), "lacking": lacking, "next": following})
        return
    console.print("\n".join(sorted(wanted)), markup=False, highlight=False)
    for line in lacking:
        console.print(f"[yellow]{line}")
    console.print("next:\n  " + "\n  ".join(following), markup=False, highlight=False)


def _demand(name: str) -> None:
    """Refused if the checks and tests do not pass on what was written. Other processes: this one has read the old."""
    for words in (["check", "-e", name], ["test", name]):
        asked = [sys.executable, "-m", "cli.app", *words]
        done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Refused(
                f"what its metrics make does not pass `./watchstack {' '.join(words)}`:\n{done.stdout}{done.stderr}"
            )
