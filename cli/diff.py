"""`./watchstack diff`: what a change does to the environments, in the terms of monitoring."""

import gc
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markdown import Markdown

from cli.common import AsJson, answer, complete_environment, console, refusals, waiting
from review import compare, revisions, text
from review.compare import Environment
from stacks.strict import Refused

# What the exit code is where a durable environment is touched.
PRODUCTION = 3

Environments = Annotated[
    list[str] | None,
    typer.Option(
        "-e",
        "--environment",
        metavar="ENV",
        help="An environment; all of them if none.",
        autocompletion=complete_environment,
    ),
]
Base = Annotated[
    str | None, typer.Option(metavar="REF", help="The revision to compare with; where this branch left main if none.")
]
AsMarkdown = Annotated[bool, typer.Option("--markdown", help="Answer in Markdown, for one comment.")]
Preview = Annotated[
    list[str] | None,
    typer.Option(metavar="ENV=FILE", help="With --markdown: fold the text of this `pulumi preview` under it."),
]
Limit = Annotated[int, typer.Option(min=2000, help="With --markdown: the bytes that a comment may have.")]


def diff(
    environment: Environments = None,
    base: Base = None,
    markdown: AsMarkdown = False,
    preview: Preview = None,
    limit: Limit = text.LIMIT,
    json: AsJson = False,
) -> None:
    """Compare the Plans of a revision with those of the files here. Exit 3 if a durable environment is touched."""
    with refusals(as_json=json):
        previews = dict(_preview(each) for each in preview or ())
        if previews and not markdown:
            raise Refused("--preview: is folded under what --markdown says; give both")
        with waiting("planning both revisions", quiet=json or markdown):
            commit, found = _compared(base, environment or [])
    if json:
        answer(text.as_dict(commit, found))
    elif markdown:
        sys.stdout.write(text.markdown(commit, found, previews, limit))
    else:
        console.print(Markdown(text.markdown(commit, found, {}, sys.maxsize).replace("details>", "p>")))
    if text.touches_production(found):
        raise typer.Exit(PRODUCTION)


def _compared(base: str | None, environments: Sequence[str]) -> tuple[str, tuple[Environment, ...]]:
    root = revisions.ROOT
    gc.disable()  # two Plans of every environment are no garbage
    try:
        commit, before = revisions.of_base(base or revisions.default_base(root), environments, root)
        after = revisions.of_working_tree(environments)
        revisions.demand_known(environments, before, after)
        return commit, compare.environments(before["environments"], after["environments"])
    finally:
        gc.enable()


def _preview(given: str) -> tuple[str, str]:
    name, equals, file = given.partition("=")
    if not name or not equals:
        raise Refused(f"--preview {given!r}: give ENV=FILE")
    try:
        return name, Path(file).read_text(encoding="utf-8", errors="replace")
    except OSError as problem:
        raise Refused(f"--preview {given}: cannot be read: {problem.strerror}") from None
