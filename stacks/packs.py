"""The rule packs of an environment: which of them, and which of their files, as far as what they need is there."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import rules
from apps import Profile
from catalogue import exposed
from rules import Pack, RuleFile, own
from rules.objectives import PACK
from stacks.jobs import LeftOut
from stacks.service import PLATFORM, ScrapeJob
from stacks.settings import Settings
from stacks.strict import Refused

COMMON = (PLATFORM, "containers", "kubernetes", "logs")

# The rule files that stay, and why, by path, the others are left out.
Kept = tuple[list[RuleFile], dict[str, LeftOut]]


def versions(settings: Settings, profiles: Sequence[Profile]) -> dict[str, str]:
    """The packs that the systems and the platform have, and their versions."""
    wanted: dict[str, str] = dict.fromkeys(COMMON, "v1") | {str(name): v for name, v in settings.packs.items()}
    for profile in profiles:
        wanted |= dict.fromkeys(profile.packs, settings.systems[profile.system].pack)
    return dict(sorted(wanted.items()))


def of(settings: Settings, profiles: Sequence[Profile], root: Path) -> list[Pack]:
    """The packs with the overrides; those that the user brings are below `root`. Refused where one cannot be used."""
    wanted = versions(settings, profiles)
    shipped = [rules.pack(name, major, settings.override) for name, major in wanted.items()]
    return [*shipped, *_own(settings, {*wanted, PACK}, root)]


def _own(settings: Settings, taken: set[str], root: Path) -> list[Pack]:
    """The packs that the user brings. Refused if one is called as another: overrides go by that name."""
    found = []
    for system, wanted in settings.systems.items():
        for path in wanted.own_packs:
            pack = own.pack(path, system, settings.override, root)
            if pack.name in taken:
                raise Refused(f"{path}/pack.yaml: pack: there is a pack {pack.name!r} already; give it another name")
            taken.add(pack.name)
            found.append(pack)
    return found


def that_run(packs: Sequence[Pack], components: frozenset[str]) -> Kept:
    """The rule files whose components all run."""
    files = [file for pack in packs for file in pack.files]
    reasons = {file.path: _not_run({*file.requires} - components) for file in files}
    return _kept(files, reasons)


def that_have_data(files: Sequence[RuleFile], jobs: Sequence[ScrapeJob], profiles: Sequence[Profile]) -> Kept:
    """The rule files whose metrics somebody exposes."""
    # Of all that is exposed a plan needs to know only where a file asks for it.
    if not (asking := [file for file in files if file.metrics]):
        return [*files], {}
    scraped = exposed.names(jobs, profiles)
    reasons = {file.path: _not_scraped([name for name in file.metrics if name not in scraped]) for file in asking}
    return _kept(files, reasons)


def _kept(files: Sequence[RuleFile], reasons: Mapping[str, str]) -> Kept:
    left_out = {
        file.path: LeftOut(what=f"{file.source} ({', '.join(alert.name for alert in file.alerts)})", because=because)
        for file in files
        if (because := reasons.get(file.path))
    }
    return [file for file in files if file.path not in left_out], left_out


def _not_run(components: Collection[str]) -> str:
    return f"needs {', '.join(sorted(components))}, which this environment does not run" if components else ""


def _not_scraped(metrics: Sequence[str]) -> str:
    more = f" and {len(metrics) - 1} more" if len(metrics) > 1 else ""
    return f"needs {metrics[0]}{more}, which no scrape job of this environment brings" if metrics else ""
