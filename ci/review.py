"""What a change does, as one comment: `python -m ci.review --base REF --out DIR`.

Writes DIR/comment.md, DIR/diff.json and a preview for each environment. Exit code 1: a check refuses.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from ci.run import Failed, engine, watchstack
from docs.markdown import table
from review.text import LIMIT
from stacks import settings

# What checks say at the most; the log of the job has all.
_CHECKS_LIMIT = LIMIT // 4


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ci.review", description=__doc__)
    parser.add_argument("--base", required=True, metavar="REF", help="the revision that the change goes to")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR")
    parser.add_argument("-e", "--environment", action="append", metavar="ENV", help="all of them if none")
    parser.add_argument("--no-preview", action="store_true", help="where there is no access to the environments' state")
    options = parser.parse_args(arguments)
    environments = options.environment or names()
    options.out.mkdir(parents=True, exist_ok=True)
    passed, checks = _checks(environments)
    previews = [] if options.no_preview else [_preview(name, options.out) for name in environments]
    asked = [f"--environment={name}" for name in options.environment or ()]
    asked += ["--base", options.base]
    said = watchstack("diff", *asked, "--json", accepted=(0, 2, 3), quiet=True)
    (options.out / "diff.json").write_text(said)
    if "refused" in json.loads(said):
        diff = "**It cannot be said what this changes.**\n\n" + "\n".join(
            f"- {each}" for each in json.loads(said)["refused"]
        )
    else:
        limit = f"--limit={LIMIT - len(checks.encode()) - 1}"
        diff = watchstack("diff", *asked, "--markdown", limit, *previews, accepted=(0, 3), quiet=True)
    (options.out / "comment.md").write_text(f"{checks}\n{diff}")
    return 0 if passed else 1


def names() -> list[str]:
    """Every environment that has a stack file, but those of pull requests."""
    found = (path.stem.removeprefix("Pulumi.") for path in settings.STACK_FILES.glob("Pulumi.*.yaml"))
    return sorted(name for name in found if not name.startswith("pr-"))


def _checks(environments: Sequence[str]) -> tuple[bool, str]:
    """Whether every check passes, and a table of the environments."""
    rows, passed = [], True
    for name in environments:
        said = json.loads(watchstack("check", "-e", name, "--json", accepted=(0, 1, 2), quiet=True))
        problems = [*said.get("refused", ()), *(line for one in said.get("checks", ()) for line in one["problems"])]
        passed = passed and not problems
        rows.append([f"`{name}`", "refused" if problems else "passed", "<br>".join(map(_cell, problems))])
        for problem in problems:
            sys.stdout.write(f"{name}: {problem}\n")
    text = table(("environment", "checks", "because"), rows)
    if len(text.encode()) > _CHECKS_LIMIT:
        text = table(("environment", "checks"), [row[:2] for row in rows]) + "\n\nThe log of the job says why."
    return passed, f"{text}\n"


def _cell(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("@", "&#64;")


def _preview(name: str, out: Path) -> str:
    """The option with the text of a preview; where there is none, with the reason."""
    file = out / f"preview-{name}.txt"
    try:
        file.write_text(engine(name, "preview", "--diff", "--color=never", quiet=True))
    except Failed as failed:
        file.write_text(f"no preview: {failed}; the log of the job says why\n")
    return f"--preview={name}={file}"


if __name__ == "__main__":
    sys.exit(main())
