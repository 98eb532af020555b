"""The facts of a revision of this clone, made by its own code; and which revision a change is compared with."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from review import facts
from review.facts import FORMAT, Facts
from stacks.strict import Refused, nearest

ROOT = Path(__file__).resolve().parents[1]
_GIT = ("git", "-C")
# What no Plan reads, and half of all files.
_NO_PART = ("tests", "docs", "toolchain/go")
_MAIN = ("origin/main", "main")
_FACTS = Path("review") / "facts.py"


def default_base(root: Path) -> str:
    """Where this branch left main; on main itself the last commit, or before it if nothing is uncommitted."""
    main = next((name for name in _MAIN if _git(root, "rev-parse", "--verify", "-q", f"{name}^{{commit}}")), None)
    head = _commit(root, "HEAD")
    base = _git(root, "merge-base", "HEAD", main) if main else head
    if base and base != head:
        return base
    if _git(root, "status", "--porcelain"):
        return head
    if not (before := _git(root, "rev-parse", "--verify", "-q", "HEAD~^{commit}")):
        raise Refused("--base: the last commit of main is the first one; name another revision")
    return before


def of_base(base: str, environments: Sequence[str], root: Path) -> tuple[str, Facts]:
    """The commit and the facts of a revision. Refused if it is not in the repository, or cannot say what it is."""
    commit = _commit(root, base)
    with tempfile.TemporaryDirectory(prefix="watchstack-") as directory:
        tree = Path(directory)
        _export(root, commit, tree)
        return commit, _said(tree, commit, environments)


def of_working_tree(environments: Sequence[str]) -> Facts:
    """The facts of the files that are here now. Refused if one of the environments cannot be planned."""
    found = facts.of_tree(environments)
    problems = [line for one in found["environments"].values() for line in one.get("refused", ())]
    if problems:
        raise Refused("\n".join(problems))
    return found


def demand_known(environments: Sequence[str], *sides: Facts) -> None:
    """Refused if neither side has a stack file of one of these."""
    known = sorted({name for side in sides for name in side["environments"]})
    unknown = [name for name in environments if name not in known]
    if unknown:
        raise Refused(
            "\n".join(
                f"--environment {name}: no stack file stacks/env/Pulumi.{name}.yaml in either revision; "
                f"{nearest(name, known)}"
                for name in unknown
            )
        )


def _said(tree: Path, commit: str, environments: Sequence[str]) -> Facts:
    """What the code of an exported tree says, by its own `review/facts.py` if that writes the same format."""
    script = tree / _FACTS if _format(tree / _FACTS) == FORMAT else Path(facts.__file__)
    env = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "PYDANTIC_DISABLE_PLUGINS": "__all__"}
    done = subprocess.run(
        [sys.executable, "-P", str(script), *environments],
        cwd=tree,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise Refused(f"--base {commit[:12]}: its code cannot be asked what it plans; it says: {last}")
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def _format(script: Path) -> int | None:
    found = re.search(r"^FORMAT = (\d+)$", script.read_text(), re.MULTILINE) if script.is_file() else None
    return int(found[1]) if found else None


def _commit(root: Path, revision: str) -> str:
    found = _git(root, "rev-parse", "--verify", "-q", "--end-of-options", f"{revision}^{{commit}}")
    if found:
        return found
    if not _git(root, "rev-parse", "--git-dir"):
        raise Refused(f"{root} is not a git repository: there is no other revision to compare with")
    shallow = _git(root, "rev-parse", "--is-shallow-repository") == "true"
    fetch = "this clone is shallow: run `git fetch --unshallow`, or check out with `fetch-depth: 0`"
    raise Refused(f"--base {revision}: no such revision in this repository; {fetch if shallow else 'run `git fetch`'}")


def _export(root: Path, commit: str, tree: Path) -> None:
    """The files of a commit that a Plan is made of, by an index of their own: nothing of the clone is touched."""
    with tempfile.TemporaryDirectory(prefix="watchstack-") as index:
        env = {**os.environ, "GIT_INDEX_FILE": f"{index}/index"}
        leave_out = ("rm", "-r", "-f", "-q", "--cached", "--ignore-unmatch", "--", *_NO_PART)
        for command in (("read-tree", commit), leave_out, ("checkout-index", "--all", f"--prefix={tree}/")):
            subprocess.run((*_GIT, str(root), *command), env=env, check=True, capture_output=True)


def _git(root: Path, *arguments: str) -> str:
    """The answer of git, or nothing where it has none."""
    done = subprocess.run([*_GIT, str(root), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
