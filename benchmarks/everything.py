"""`python -m benchmarks.everything OUT` writes every dashboard and the rules of every pack, as they are deployed."""

import sys
from pathlib import Path

import dashboards
import rules


def main() -> None:
    files = {f"{name}.json": dashboards.render(dashboards.build(name)) for name in dashboards.names()}
    for manifest in sorted(rules.DIRECTORY.glob("*/v*/pack.yaml")):
        major = manifest.parent
        files |= {file.path: file.text for file in rules.pack(major.parent.name, major.name, {}).files}
    for path, text in files.items():
        target = Path(sys.argv[1]) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


if __name__ == "__main__":
    main()
