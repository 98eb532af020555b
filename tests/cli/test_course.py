"""One drill's course, from what is seen at each moment."""

from collections.abc import Sequence
from typing import Any

import pytest

from apps import Drill
from cli.attempts import Count
from cli.channels import Channel
from cli.course import Course, Limits, Sight
from cli.waves import Planned
from rules import Alert

RUNBOOK = "https://watchstack.dev/runbooks/ShopErrors"
LABELS = {"system": "shop", "component": "api", "severity": "warning"}
ALERT = Alert(
    pack="shop",
    name="ShopErrors",
    expr="",
    wait="5m",
    labels=LABELS,
    annotations={"runbook_url": RUNBOOK},
    place="",
    seen="",
)
PEOPLE = Channel(receiver="people", integration="discord", resolved=True, path="/discord")
QUIET = Channel(receiver="people", integration="discord", resolved=False, path="/discord")
BRIDGE = Channel(receiver="bridge", integration="webhook", resolved=True, service="bridge")
LIMITS = Limits(pending=10, firing=20, delivered=30, resolved=40)


def _course(*channels: Channel, before: dict[tuple[str, str], Count] | None = None) -> Course:
    planned = Planned(alert=ALERT, drill=Drill(service="shop", fault="errors", value=1.0))
    return Course(planned=planned, channels=channels, limits=LIMITS, began=0.0, before=before or {})


def _sight(at: float, state: str = "", *told: str, held: Sequence[Any] = (), sent: int = 0) -> Sight:
    texts = [f"ShopErrors shop/api warning {status}\nRunbook: {RUNBOOK}\n" for status in told]
    return Sight(
        at=at,
        states={("shop", "ShopErrors"): state} if state else {},
        held=held,
        counts={("bridge", "webhook"): Count(attempts=sent, requests=sent)},
        notifications=[{"path": "/discord", "body": {"description": text}} for text in texts],
    )


def _held(receiver: str = "people", **status: list[str]) -> dict[str, Any]:
    return {
        "labels": {"alertname": "ShopErrors", **LABELS},
        "fingerprint": "1",
        "receivers": [{"name": receiver}],
        "status": {"silencedBy": [], "inhibitedBy": [], **status},
    }


INHIBITOR = {
    "labels": {"alertname": "ShopDown", "severity": "critical"},
    "fingerprint": "2",
    "receivers": [],
    "status": {"silencedBy": [], "inhibitedBy": []},
}


def test_each_phase_is_timed_and_the_fault_is_needed_until_it_is_delivered() -> None:
    course = _course(PEOPLE)
    for sight, phase in [
        (_sight(1), "pending"),
        (_sight(2, "pending"), "firing"),
        (_sight(7, "firing"), "delivered"),
        (_sight(8, "firing", held=[_held()]), "delivered"),
        (_sight(9, "firing", "firing", held=[_held()]), "resolved"),
        (_sight(15, "firing", "firing"), "resolved"),
        (_sight(16, "", "firing"), "resolved"),
        (_sight(19, "", "firing", "resolved"), "ended"),
    ]:
        course.see(sight)
        assert course.phase == phase
        assert course.needs_fault is (phase not in ("resolved", "ended"))
    assert course.passed
    assert course.seconds == {"pending": 2, "firing": 7, "delivered": 9, "resolved": 10}


def test_phases_that_pass_between_two_looks_are_not_missed() -> None:
    course = _course(PEOPLE)
    course.see(_sight(3, "firing", "firing", held=[_held()]))
    assert course.phase == "resolved"


def test_who_is_not_told_when_it_is_over_is_not_waited_for() -> None:
    course = _course(QUIET)
    course.see(_sight(3, "firing", "firing"))
    course.see(_sight(4))
    assert course.passed


@pytest.mark.parametrize(
    ("sights", "problem"),
    [
        ([_sight(11)], "not pending after 11 s: the condition does not hold in Prometheus"),
        ([_sight(1, "pending"), _sight(22, "pending")], "not firing after 21 s: Prometheus says pending"),
        ([_sight(1, "firing"), _sight(32, "firing")], "not delivered after 31 s: Alertmanager does not hold it"),
        (
            [_sight(1, "firing"), _sight(32, "firing", held=[_held()])],
            "not delivered after 31 s: people (discord) not told",
        ),
        (
            [_sight(1, "firing"), _sight(32, "firing", "firing", held=[_held("others")])],
            "not delivered after 31 s: Alertmanager does not route it to people",
        ),
        (
            [_sight(1, "firing", "firing"), _sight(42, "firing", "firing")],
            "not resolved after 41 s: Prometheus still says firing",
        ),
        (
            [_sight(1, "firing", "firing"), _sight(42, "", "firing")],
            "not resolved after 41 s: people (discord) not told that it is over",
        ),
    ],
)
def test_what_takes_too_long_ends_with_what_was_lacking(sights: list[Sight], problem: str) -> None:
    course = _course(PEOPLE)
    for sight in sights:
        course.see(sight)
    assert (course.phase, course.problem, course.passed, course.needs_fault) == ("ended", problem, False, False)


def test_an_inhibited_alert_is_not_expected_to_be_delivered_and_says_by_what() -> None:
    course = _course(PEOPLE)
    course.see(_sight(3, "firing", held=[_held(inhibitedBy=["2"]), INHIBITOR]))
    assert course.inhibited == "inhibited by ShopDown (critical)"
    assert course.phase == "resolved"
    course.see(_sight(9))
    assert course.passed
    assert "delivered" not in course.seconds


def test_where_nothing_shows_what_arrived_alertmanagers_count_decides() -> None:
    key = ("bridge", "webhook")
    course = _course(BRIDGE, before={key: Count(attempts=4, requests=4)})
    phases = []
    for at, state, sent in ((3, "firing", 4), (4, "firing", 5), (5, "", 5), (6, "", 6)):
        course.see(_sight(at, state, held=[_held("bridge")], sent=sent))
        phases.append(course.phase)
    assert phases == ["delivered", "resolved", "resolved", "ended"]
    assert course.passed
