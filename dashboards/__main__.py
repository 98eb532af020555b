"""`python -m dashboards --out DIRECTORY` writes every dashboard as `<name>.json`."""

import argparse
from pathlib import Path

from dashboards import build, names, render


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m dashboards", description="Write every dashboard as JSON.")
    parser.add_argument("--out", type=Path, required=True, help="directory, made when missing")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for name in names():
        (out / f"{name}.json").write_text(render(build(name)), encoding="utf-8")


if __name__ == "__main__":
    main()
