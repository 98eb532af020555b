"""An environment as it is on this revision, proven: `python -m ci.deploy ENV`. Exit code 1 is for the next to wait."""

import argparse
import sys
from collections.abc import Sequence

from ci.run import Failed, engine, watchstack
from stacks import settings


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ci.deploy", description=__doc__)
    parser.add_argument("environment", metavar="ENV")
    environment = parser.parse_args(arguments).environment
    if not settings.stack_file(environment).is_file():
        sys.stdout.write(f"{environment} has no stack file: nothing to deploy\n")
        return 0
    try:
        watchstack("check", "-e", environment)
        engine(environment, "up", "--yes", "--skip-preview")
        watchstack("selftest", "-e", environment)
    except Failed as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
