"""A test stack for each pull request: `python -m ci.test_stack up|down N`.

`up` writes the stack file of `pr-N`, brings it up, proves it and drills its alerts. `down` takes it down, and nothing
may be left. Its code comes from whoever opened the pull request, so it gets no secret of any environment: all that its
receivers send goes to its own capture receiver.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from checks import ports
from ci.run import Failed, engine, watchstack
from stacks import plan, settings
from stacks.service import to_yaml
from stacks.strict import Refused

# Blocks of ports for test stacks, above those of the shipped environments: each is tried until one is free.
_FIRST, _STEP, _BLOCKS = 20000, 130, 200
# Five minutes are five seconds, and what is scraped every two seconds is enough for the shortened ranges.
_FAST = {"scrape_interval": "2s", "evaluation_interval": "2s"}
_HEAD = "# Written by `python -m ci.test_stack`. `down` removes it.\n"


def name(number: int) -> str:
    return f"pr-{number}"


def write(number: int, base: str) -> Path:
    """The stack file of a test stack, made from that of an environment. One that is there keeps its ports."""
    file = settings.stack_file(name(number))
    document = yaml.safe_load(settings.stack_file(base).read_text())
    own = {key.removeprefix("watchstack:"): value for key, value in document["config"].items()}
    if own.get("target") == "kubernetes":
        raise Refused(
            f"--from {base}: in a cluster a simulated system has one namespace, so two environments of one system "
            "cannot be there; give an environment on local or docker"
        )
    offset = yaml.safe_load(file.read_text())["config"]["watchstack:port_offset"] if file.is_file() else None
    for at in [offset] if offset is not None else _offsets(number):
        config = _config({**own, "port_offset": at})
        made = settings.from_text(to_yaml(config), file, name(number))
        if offset is not None or not ports.check(plan.make(made, {}), Path()):
            file.write_text(_HEAD + to_yaml(config))
            return file
    raise Refused(f"{name(number)}: no block of ports is free on this machine")


def _offsets(number: int) -> list[int]:
    return [_FIRST + (number + i) % _BLOCKS * _STEP for i in range(_BLOCKS)]


def _config(own: dict[str, Any]) -> dict[str, Any]:
    """A throw-away environment with the same systems, simulated, that tells nobody and hurries."""
    given = own.get("secrets", {})
    secrets = {one: {"capture": source.get("capture", one)} for one, source in given.items()}
    systems = {
        system: {key: value for key, value in wanted.items() if key != "targets"} | {"workload": True}
        for system, wanted in own["systems"].items()
    }
    samples = {key: value for key, value in own.get("prometheus", {}).items() if key != "remote_write"}
    config = {
        **{key: value for key, value in own.items() if key not in ("email", "registry", "unlocked", "receivers")},
        **(
            {"email": {key: own["email"][key] for key in ("from", "to")} | {"smarthost": "capture"}}
            if own.get("email")
            else {}
        ),
        "lifecycle": "ephemeral",
        "fast_forward": 60,
        "systems": systems,
        "prometheus": {**samples, **_FAST},
        "secrets": secrets,
        "capture": {"enabled": True},
    }
    return {"config": {f"watchstack:{key}": value for key, value in config.items()}}


def up(number: int, base: str, out: Path | None) -> None:
    """Bring it up, prove it, drill it, and draw the dashboards that change."""
    write(number, base)
    engine(name(number), "up", "--yes", "--skip-preview")
    watchstack("selftest", "-e", name(number))
    watchstack("drill", "-e", name(number))
    if out is not None:
        for dashboard in changed_dashboards(out / "diff.json"):
            _draw(number, dashboard, out / "pictures")


def _draw(number: int, dashboard: str, out: Path) -> None:
    shown = {each.uid for each in plan.make(_settings(number), {}).dashboards}
    if dashboard in shown:
        watchstack("picture", dashboard, "-e", name(number), "--out", str(out))


def _settings(number: int) -> settings.Settings:
    return settings.from_stack_file(settings.stack_file(name(number)), name(number))


def changed_dashboards(diff: Path) -> list[str]:
    """The dashboards that a change adds or touches, by what `./watchstack diff --json` says."""
    changes = json.loads(diff.read_text()).get("changes", ()) if diff.is_file() else ()
    kinds = ("dashboards", "panels")
    names = [each for change in changes if change["kind"] in kinds for each in change["names"]]
    return sorted({each.partition("/")[0] for each in names})


def down(number: int) -> None:
    """Take it down. Fails if anything of it is left. Of one that is not there, nothing is to be done."""
    file = settings.stack_file(name(number))
    if file.is_file():
        engine(name(number), "destroy", "--yes", "--skip-preview", "--remove")
        watchstack("audit", "-e", name(number))
        file.unlink()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ci.test_stack", description=__doc__)
    parser.add_argument("what", choices=("write", "up", "down"))
    parser.add_argument("number", type=int, help="of the pull request")
    parser.add_argument("--from", dest="base", default="local", metavar="ENV", help="the environment it is made from")
    parser.add_argument("--out", type=Path, metavar="DIR", help="what `ci.review` wrote; pictures go there")
    options = parser.parse_args(arguments)
    try:
        match options.what:
            case "write":
                write(options.number, options.base)
            case "up":
                up(options.number, options.base, options.out)
            case _:
                down(options.number)
    except (Refused, Failed) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
