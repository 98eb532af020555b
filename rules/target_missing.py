"""An alert for each declared scrape job: TargetDown sees a dead target, but not one that was never there."""

from collections.abc import Mapping, Sequence

from rules import RuleFile, generated
from stacks.changes import Override
from stacks.service import PLATFORM, ScrapeJob

PATH = "platform/declared/target-missing.yml"
RUNBOOK = "https://watchstack.dev/runbooks/TargetMissing"


def file(jobs: Sequence[ScrapeJob], overrides: Mapping[str, Override]) -> RuleFile:
    document = {"groups": [{"name": "platform.target-missing", "rules": [_rule(job) for job in jobs]}]}
    return generated(PLATFORM, PATH, document, overrides)


def _rule(job: ScrapeJob) -> dict[str, object]:
    targets = ", ".join(target.instance for target in job.targets)
    return {
        "alert": "TargetMissing",
        "expr": f'absent(up{{job="{job.job}"}})',
        "for": "10m",
        "labels": {"severity": "warning", "system": job.system, "component": job.job, "missing_job": job.job},
        "annotations": {
            "summary": f"Prometheus has no target for the declared job {job.job}.",
            "description": f"Job {job.job} should scrape {targets}, and has had no target for 10 minutes.",
            "runbook_url": RUNBOOK,
        },
    }
