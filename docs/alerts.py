"""docs/alerts.md: every alert of every rule pack."""

from collections.abc import Sequence

import rules
from apps.objectives import Objective
from docs import markdown
from docs.markdown import code, codes, table
from rules import Alert, Pack, RuleFile, objectives, target_missing
from stacks.service import ScrapeJob, ScrapeTarget
from stacks.strict import load

_INTRODUCTION = """\
Made by `make generate` from the files below `rules/`.

A file is deployed where everything that it needs runs and exposes the metrics that `pack.yaml` names for it;
`./watchstack check` names the files that an environment leaves out. Change the threshold, the wait or the severity of
an alert, or leave it out, with [`watchstack:override`](settings.md#override); `seen` is what it asks for, and changes
with the alert."""

_DECLARED = """\
One alert for each scrape job that an environment declares, shown here for a job called `JOB`. It is not in a file
of the pack: `rules/target_missing.py` makes it."""


_OBJECTIVES = """\
The alerts of an [objective](objectives.md) with the burn rates that it has if it names none, shown here for one called
`slo`. They are not in a file of a pack: `rules/objectives.py` makes them."""


def page() -> str:
    """The catalogue of alerts, by pack and file."""
    packs = [
        rules.pack(path.parent.parent.name, path.parent.name, {})
        for path in sorted(rules.DIRECTORY.glob("*/v*/pack.yaml"))
    ]
    return markdown.page(
        "# Alerts", _INTRODUCTION, *(part for pack in packs for part in _pack(pack)), *_declared(), *_objectives()
    )


def _pack(pack: Pack) -> list[str]:
    head = f"## {pack.name} {pack.version}"
    return [head, *(part for file in pack.files if file.alerts for part in _file(file))]


def _file(file: RuleFile) -> list[str]:
    needs = f"Needs {codes(file.requires)}." if file.requires else ""
    return [f"### {file.path}", needs, _alerts(file.alerts)]


def _declared() -> list[str]:
    target = ScrapeTarget(address="HOST:PORT", instance="HOST:PORT")
    job = ScrapeJob(job="JOB", system="SYSTEM", targets=(target,))
    return ["## Declared jobs", _DECLARED, _alerts(target_missing.file([job], {}).alerts)]


def _objectives() -> list[str]:
    queries = {"errors": "failed[{{.window}}]", "total": "all[{{.window}}]"}
    one = {"slo": "slo", "objective": 0.99, "description": "events that are good", "low_traffic": "alert", **queries}
    slo = objectives.declared("system", load(Objective, one, ""))
    return ["## Objectives", _OBJECTIVES, _alerts(objectives.file("system", [slo], {}).alerts)]


def _alerts(alerts: Sequence[Alert]) -> str:
    return table(("alert", "severity", "for", "seen", "says"), map(_row, alerts))


def _row(alert: Alert) -> list[str]:
    runbook = alert.annotations["runbook_url"].rpartition("/")[2]
    link = f"[{alert.name}](runbooks/{runbook}.md)"
    return [link, code(alert.labels["severity"]), code(alert.wait), code(alert.seen), alert.annotations["summary"]]
