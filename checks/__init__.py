"""What judges a Plan before anything is touched. One check: one file here, one test, one page in docs/checks."""

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from checks import alertmanager, collector, dashboards, disk, jaeger, loki, ports, prometheus, routing, secrets
from stacks import render
from stacks.plan import Plan
from stacks.strict import Refused
from toolchain import remember
from toolchain.programs import ProgramMissing

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, kw_only=True)
class Check:
    """A named judgement: a Plan and its rendered files in, problems out.

    `files_of` names the service whose files decide alone, so that a pass can be remembered by their digest.
    """

    name: str
    judge: Callable[[Plan, Path], list[str]]
    files_of: str | None = None


@dataclass(frozen=True, kw_only=True)
class Result:
    check: str
    problems: tuple[str, ...]
    seconds: float
    remembered: bool


CHECKS = (
    Check(name="routing", judge=routing.check),
    Check(name="secrets", judge=secrets.check),
    Check(name="ports", judge=ports.check),
    Check(name="disk", judge=disk.check),
    Check(name="dashboards", judge=dashboards.check),
    Check(name="prometheus", judge=prometheus.check, files_of="prometheus"),
    Check(name="alertmanager", judge=alertmanager.check, files_of="alertmanager"),
    Check(name="loki", judge=loki.check, files_of="loki"),
    Check(name="jaeger", judge=jaeger.check, files_of="jaeger"),
    Check(name="collector", judge=collector.check, files_of="otel-collector"),
)


def run(plan: Plan) -> list[Result]:
    """Every check on the Plan, side by side."""
    files = render.tree(plan)
    with tempfile.TemporaryDirectory(prefix="watchstack-") as directory, ThreadPoolExecutor() as pool:
        # Collectors validate that the directories they write to are there.
        for service in plan.services:
            for volume in service.volumes:
                (Path(directory) / service.name / volume.path).mkdir(parents=True)
        render.write(files, Path(directory))
        wanted = [check for check in CHECKS if check.files_of is None or plan.find(check.files_of)]
        return list(pool.map(lambda check: _judge(check, plan, files, Path(directory)), wanted))


def demand(plan: Plan) -> None:
    """Refused with every problem found, if there is one."""
    problems = [f"{result.check}: {problem}" for result in run(plan) for problem in result.problems]
    if problems:
        raise Refused("\n".join(problems))


def _judge(check: Check, plan: Plan, files: dict[str, str], directory: Path) -> Result:
    start = time.monotonic()
    passed = _passed(check, files) if check.files_of else None
    if passed and passed.exists():
        return Result(check=check.name, problems=(), seconds=time.monotonic() - start, remembered=True)
    try:
        problems = tuple(check.judge(plan, directory))
    except ProgramMissing as missing:
        problems = (str(missing),)
    if passed and not problems:
        remember.keep(passed, "")
    return Result(check=check.name, problems=problems, seconds=time.monotonic() - start, remembered=False)


def _passed(check: Check, files: dict[str, str]) -> Path:
    """Where a pass is kept. It depends on the check itself, the programs' versions, the settings and the files."""
    deciding = (ROOT / "checks" / f"{check.name}.py", ROOT / "toolchain" / "versions.yaml")
    own = {path: text for path, text in files.items() if path.startswith(f"{check.files_of}/")}
    return remember.key(f"passed-{check.name}", deciding, [part for pair in own.items() for part in pair])
