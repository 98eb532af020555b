"""`python -m rules.seal`: write down what a new version of a pack contains.

A change of a pack that is not a new version of it would be deployed unseen, where environments pin what they run. So
each version keeps a digest of its rules, and a pack whose rules are not those of its version is refused.
"""

import re
import sys
from pathlib import Path

from rules import DIRECTORY, Manifest, content, manifest


def unsealed(home: Path) -> str:
    """What is wrong with the seal of a pack; nothing if it is in order."""
    read, now = manifest(home), content(home)
    newest = read.changes[0]
    where = f"rules/{home.parent.name}/{home.name}/pack.yaml"
    if newest.version != read.version:
        return f"{where}: version is {read.version}, and the newest change is of {newest.version}; add a change for it"
    if newest.content is None:
        return f"{where}: version {read.version} has no content yet; run `python -m rules.seal`"
    if newest.content != now:
        return f"{where}: the rules are not those of {read.version} any more; raise the version and add a change"
    return ""


def main() -> int:
    """Seal every new version. Exit code 1 if a sealed one was changed."""
    refused = False
    for path in sorted(DIRECTORY.glob("*/v*/pack.yaml")):
        _seal(path, manifest(path.parent))
        if problem := unsealed(path.parent):
            sys.stderr.write(f"{problem}\n")
            refused = True
    return int(refused)


def _seal(path: Path, read: Manifest) -> None:
    newest = read.changes[0]
    if newest.content is None and newest.version == read.version:
        text = path.read_text()
        line = re.compile(rf"^(\s*)- version: {re.escape(newest.version)}\n", re.MULTILINE)
        path.write_text(line.sub(rf"\g<0>\g<1>  content: {content(path.parent)}\n", text, count=1))


if __name__ == "__main__":
    sys.exit(main())
