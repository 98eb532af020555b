"""What judges a Plan before anything is touched. One check: one file here, one test, one page in docs/checks."""

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from checks import (
    alertmanager,
    alertroutes,
    collector,
    dashboards,
    disk,
    jaeger,
    loki,
    ports,
    prometheus,
    retention,
    routing,
    secrets,
    versions,
)
from stacks import render
from stacks.plan import ALERTROUTES, Plan
from stacks.strict import Refused
from toolchain import programs, remember
from toolchain.programs import ProgramMissing

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, kw_only=True)
class Check:
    """A named judgement: a Plan and its rendered files in, problems out.

    A pass is remembered by the digest of what decides alone: the files of the services `files_of`, all of which must
    run, and of their like; with `sources` these files of the clone, the settings and what they leave out. Without
    `files_of` a check reads no file: there may be none.
    `optional`: a product without which the check is not made.
    """

    name: str
    judge: Callable[[Plan, Path], list[str]]
    files_of: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    optional: str | None = None


@dataclass(frozen=True, kw_only=True)
class Result:
    check: str
    problems: tuple[str, ...]
    seconds: float
    remembered: bool


def _references(plan: Plan, tree: Path) -> list[str]:
    from checks import references  # noqa: PLC0415 - with its parser, only where a pass is not remembered

    return references.check(plan, tree)


CHECKS = (
    Check(name="routing", judge=routing.check),
    Check(
        name="alertroutes",
        judge=alertroutes.check,
        files_of=("alertmanager", "prometheus"),
        sources=("apps/*", "apps/tests/*", "checks/*.py", "stacks/rout*.py"),
        optional=ALERTROUTES,
    ),
    Check(name="secrets", judge=secrets.check),
    Check(name="ports", judge=ports.check),
    Check(name="disk", judge=disk.check),
    Check(name="retention", judge=retention.check),
    Check(name="versions", judge=versions.check),
    Check(name="dashboards", judge=dashboards.check),
    Check(name="prometheus", judge=prometheus.check, files_of=("prometheus",)),
    Check(name="alertmanager", judge=alertmanager.check, files_of=("alertmanager",)),
    Check(name="loki", judge=loki.check, files_of=("loki",)),
    Check(name="jaeger", judge=jaeger.check, files_of=("jaeger",)),
    Check(name="collector", judge=collector.check, files_of=("otel-collector",)),
    Check(
        name="references",
        judge=_references,
        files_of=("prometheus", "alertmanager"),
        sources=(
            "apps/*",
            "catalogue/*",
            "checks/inhibitions.py",
            "dashboards/*.py",
            "rules/*/v*/pack.yaml",
            "requirements.txt",
        ),
    ),
)


def run(plan: Plan) -> list[Result]:
    """Every check on the Plan, side by side. No file is written where all passed before that would read one."""
    files = render.tree(plan)
    wanted = [check for check in CHECKS if all(plan.find(name) for name in check.files_of) and _can(check)]
    passes = {check.name: _passed(check, plan, files) for check in wanted if check.files_of}
    with tempfile.TemporaryDirectory(prefix="watchstack-") as directory, ThreadPoolExecutor() as pool:
        if not all(place.exists() for place in passes.values()):
            _write(plan, files, Path(directory))
        return list(pool.map(lambda check: _judge(check, plan, Path(directory), passes.get(check.name)), wanted))


def _write(plan: Plan, files: dict[str, str], directory: Path) -> None:
    # Collectors validate that the directories they write to are there.
    for service in plan.services:
        for volume in service.volumes:
            (directory / service.name / volume.path).mkdir(parents=True)
    render.write(files, directory)


def demand(plan: Plan, *, preview: bool) -> None:
    """Refused with every problem found, if there is one; of a preview, without those that stop an update alone."""
    problems = [f"{result.check}: {problem}" for result in run(plan) for problem in result.problems]
    if not preview:
        problems += [f"secrets: {problem}" for problem in secrets.absent(plan)]
    if problems:
        raise Refused("\n".join(problems))


def warnings(plan: Plan) -> list[str]:
    """What is no problem yet: each line begins with the check that says so, as problems do."""
    said = {"secrets": secrets.warnings(plan), "versions": versions.warnings(plan)}
    return [f"{check}: {line}" for check, lines in said.items() for line in lines]


def _can(check: Check) -> bool:
    return check.optional is None or isinstance(programs.find(check.optional), programs.Installed)


def _judge(check: Check, plan: Plan, directory: Path, passed: Path | None) -> Result:
    start = time.monotonic()
    if passed and passed.exists():
        return Result(check=check.name, problems=(), seconds=time.monotonic() - start, remembered=True)
    try:
        problems = tuple(check.judge(plan, directory))
    except ProgramMissing as missing:
        problems = (str(missing),)
    if passed and not problems:
        remember.keep(passed, "")
    return Result(check=check.name, problems=problems, seconds=time.monotonic() - start, remembered=False)


def _passed(check: Check, plan: Plan, files: dict[str, str]) -> Path:
    """Where a pass is kept. It depends on the check itself, the programs' versions, and what the check says."""
    deciding = [ROOT / "checks" / f"{check.name}.py", ROOT / "toolchain" / "versions.yaml"]
    deciding += [path for pattern in check.sources for path in ROOT.glob(pattern) if path.is_file()]
    deciders = {service.name for service in plan.services if service.kind in check.files_of}
    own = [(path, text) for path, text in files.items() if path.partition("/")[0] in deciders]
    texts = [part for pair in own for part in pair]
    if check.sources:
        texts.append(plan.settings.model_dump_json(exclude={"secrets"}))
        texts += [part for dashboard in plan.dashboards for part in (dashboard.place, dashboard.text)]
        texts += [part for file in plan.pruned for part in (file.path, file.text)]
    return remember.key(f"passed-{check.name}", deciding, texts)
