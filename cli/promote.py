"""`./watchstack promote`: another version of a rule pack, in the stack file of an environment."""

import difflib
import sys
from typing import Annotated

import typer
from rich.markdown import Markdown

from cli.common import AsJson, answer, complete_environment, console, refusals, waiting
from review import compare, facts, promotion, text
from review.compare import Environment
from review.promotion import Promotion
from stacks import plan, settings
from stacks.strict import Refused

Pack = Annotated[str, typer.Argument(metavar="rules/PACK", help="A rule pack.")]
Version = Annotated[str, typer.Argument(help="The version that the environment shall have, such as v2.")]
To = Annotated[
    str,
    typer.Option(
        "--to", metavar="ENV", help="The environment: stacks/env/Pulumi.ENV.yaml.", autocompletion=complete_environment
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change, and write nothing.")]


def promote(pack: Pack, version: Version, to: To, dry_run: DryRun = False, json: AsJson = False) -> None:
    """Give an environment another version of a rule pack: one line of its stack file. Shows what that changes."""
    with refusals(as_json=json), waiting("planning before and after", quiet=json):
        made = promotion.promote(pack, version, to)
        found = _compared(made)
        if not dry_run:
            made.file.write_text(made.after)
    if json:
        about = {"file": made.file.name, "from": made.version, "to": version, "written": not dry_run}
        answer({**about, **text.as_dict(f"{pack} {made.version}", found)})
        return
    lines = difflib.unified_diff(made.before.splitlines(), made.after.splitlines(), n=1, lineterm="")
    for line in [line for line in lines if not line.startswith(("---", "+++"))]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    said = text.markdown(f"{pack} {made.version}", found, {}, sys.maxsize)
    console.print(Markdown(said.replace("details>", "p>")))
    console.print(f"{made.file.name}: {'not written' if dry_run else 'written'}", highlight=False)


def _compared(made: Promotion) -> tuple[Environment, ...]:
    """What the promotion does. Refused where the environment could not be planned afterwards."""
    name = made.old.environment
    try:
        old, new = (facts.of_plan(plan.make(wanted, {})) for wanted in (made.old, made.new))
    except Refused as refused:
        raise Refused(settings.placed(str(refused), made.file)) from None
    return compare.environments({name: old}, {name: new})
