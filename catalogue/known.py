"""All series of an environment: of its scrape jobs, of its recording rules, and of its alerts."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import catalogue
from catalogue import exposed, logql
from catalogue.exposed import Labels, all_of
from catalogue.inference import Found, Problem, found, unmet
from catalogue.matchers import Matcher, near
from rules import Alert, Record
from stacks.plan import Plan
from stacks.services import collector, grafana, jaeger, loki, node_exporter, thanos

# Scrape jobs of the stack itself that an environment may lack.
_OPTIONAL = frozenset(
    {"cadvisor", collector.NAME, grafana.NAME, jaeger.NAME, loki.NAME, node_exporter.NAME, *thanos.NAMES}
)
_ALERTS = ("ALERTS", "ALERTS_FOR_STATE")


def labels_of(plan: Plan, expr: str) -> Labels:
    """The labels that the result of an expression can have in an environment, with their values, None where open."""
    return Known(plan).found(expr).known


class Known:
    """What expressions can be over in an environment. Nothing of it is worked out before it is asked for."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._jobs = {job.job: job for job in plan.jobs}
        self._scraped = exposed.by_job(plan.jobs, plan.profiles)
        self._records: dict[str, list[Record]] = {}
        for record in plan.records:
            self._records.setdefault(record.name, []).append(record)
        self._recorded: dict[str, Found] = {}

    def found(self, expr: str) -> Found:
        """The labels of the result of an expression, and what is wrong with it."""
        return found(self, expr)

    def rule(self, rule: Alert | Record) -> Found:
        """The labels of the result of a rule's expression, and what is wrong with it; of log lines the labels alone."""
        return logql.found(rule.expr) if rule.engine == "loki" else self.found(rule.expr)

    def alert(self, alert: Alert) -> Found:
        """The labels that an alert can have in Prometheus."""
        found = self.rule(alert)
        return found.of({**found.known, **fixed({**alert.labels, "alertname": alert.name})})

    def named(self, name: str) -> Sequence[Labels]:
        """The labels of the series of this name, of each job apart."""
        series = [
            exposed.stored(self._jobs[job], scraped[name]) for job, scraped in self._scraped.items() if name in scraped
        ]
        if name in self._records:
            series.append(self._recording(name).known)
        return [*series, self._of_alerts] if name in _ALERTS else series

    def unclear(self, name: str) -> bool:
        """Whether the series of this name may have any label, because what records them has a problem itself."""
        return name in self._records and self._recording(name).unclear

    def unknown(self, name: str) -> Problem:
        """What is wrong with a name that no series has."""
        if name in self._elsewhere:
            of = " or ".join(self._elsewhere[name])
            text = f"no scrape job or rule of this environment brings {name}, which is of {of}"
            return Problem(text=text, elsewhere=True)
        return Problem(text=f"unknown metric {name}; {near(name, [*self._names, *self._elsewhere])}")

    def unmet(self, name: str, matcher: Matcher, series: Sequence[Labels]) -> Problem:
        """What is wrong with a matcher that finds none of these series."""
        jobs = {value for labels in series for value in labels.get("job") or ()}
        if matcher.label != "job" or not jobs:
            return unmet(name, matcher, series)
        if (unknown := matcher.unmet(self._jobs)) is not None:
            if unknown in self._jobs_elsewhere:
                return Problem(text=f"this environment has no scrape job {unknown}", elsewhere=True)
            return Problem(text=f"unknown job {unknown}; {near(unknown, self._jobs)}")
        wrong = matcher.unmet(jobs) or matcher.value
        return Problem(text=f"{name} is not of job {wrong}, but of {', '.join(sorted(jobs))}")

    def _recording(self, name: str) -> Found:
        if name not in self._recorded:
            # A rule may read what it recorded before.
            self._recorded[name] = Found(labels={}, unclear=True)
            found = [(self.rule(record), fixed(record.labels)) for record in self._records[name]]
            labels = all_of({**each.known, **own} for each, own in found)
            self._recorded[name] = Found(labels=labels, unclear=any(each.unclear for each, _ in found))
        return self._recorded[name]

    @cached_property
    def _of_alerts(self) -> Labels:
        # One that is over alerts has the labels of those, and its own.
        over = [alert for alert in self._plan.alerts if "ALERTS" in alert.expr]
        return all_of(
            [
                {"alertstate": frozenset({"pending", "firing"})},
                *(self.alert(alert).known for alert in self._plan.alerts if alert not in over),
                *(fixed({**alert.labels, "alertname": alert.name}) for alert in over),
            ]
        )

    @cached_property
    def _names(self) -> list[str]:
        return [*{name for series in self._scraped.values() for name in series}, *self._records, *_ALERTS]

    @cached_property
    def _elsewhere(self) -> dict[str, list[str]]:
        """The names of series that the environment does not have, and what each is of."""
        sources: dict[str, Iterable[str]] = {
            **{f"rules/{file.path}": [record.name for record in file.records] for file in self._plan.pruned},
            **{f"a job of {profile.system}": exposed.of_profile(profile) for profile in self._plan.profiles},
            **{program: exposed.of_catalogue(program) for program in catalogue.products()},
        }
        here, found = {*self._names}, dict[str, list[str]]()
        for source, names in sources.items():
            for name in names:
                if name not in here:
                    found.setdefault(name, []).append(source)
        return found

    @cached_property
    def _jobs_elsewhere(self) -> frozenset[str]:
        """Scrape jobs that the environment could have, and has not."""
        profiles = {job.job for profile in self._plan.profiles for job in profile.jobs}
        return (_OPTIONAL | profiles) - self._jobs.keys()


def fixed(labels: Mapping[str, str]) -> Labels:
    """Labels that a rule gives; a template can make anything of one."""
    return {label: None if "{{" in value else frozenset({value}) for label, value in labels.items()}
