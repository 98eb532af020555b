"""./watchstack fire against an Alertmanager that is played: what it sends, what it believes, and that it ends it."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import world
from typer.testing import CliRunner, Result
from world import World

from cli import attempts
from cli.app import app
from cli.attempts import Count


@pytest.fixture(name="play")
def _play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr("stacks.settings.STACK_FILES", tmp_path)
    monkeypatch.setattr("cli.fire._EVERY", 0.01)
    # The slowest route waits for five minutes; the played one for nothing.
    monkeypatch.setattr("stacks.routes.slowest", lambda _profiles, _labels: 0.0)
    with world.played(tmp_path, {}) as running:
        yield running


def _fire(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["fire", *arguments, "-e", "play", "--timeout", "1", "--json"])


def _ends(play: World) -> list[datetime]:
    return [datetime.fromisoformat(sent["endsAt"]) for sent in play.posted]


def test_a_test_notification_is_marked_and_delivered_and_ended(play: World) -> None:
    done = _fire("HighErrorRate")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    [receiver] = told["receivers"]
    assert (receiver["receiver"], receiver["integration"]) == ("discord-critical", "discord")
    assert (receiver["attempts"], receiver["failures"]) == (1, 0)
    first, last = play.posted
    assert first["labels"] == last["labels"]
    assert first["labels"]["watchstack_drill"]
    assert (
        first["labels"].items()
        >= {
            "alertname": "HighErrorRate",
            "severity": "critical",
            "system": "boss-workflow",
            "component": "api",
            "environment": "play",
        }.items()
    )
    assert first["annotations"]["summary"] == "TEST: More than 5 % of the HTTP requests fail."
    assert first["annotations"]["runbook_url"].endswith("runbooks/HighErrorRate")
    # The second one ends it; the first would, had the program died.
    began, ended = _ends(play)
    assert ended < began


def test_an_address_is_taken_too(play: World) -> None:
    assert _fire("boss-workflow/LowCacheHitRate").exit_code == 0
    assert play.posted[0]["labels"]["severity"] == "info"


def test_an_alert_that_is_not_there_is_refused_with_the_nearest_name(play: World) -> None:
    done = _fire("HighErorRate")
    assert done.exit_code == 2
    assert json.loads(done.stdout)["refused"] == [
        "HighErorRate: this environment has no such alert; did you mean HighErrorRate?"
    ]
    assert play.posted == []


def test_nothing_attempted_is_a_failure_and_the_alert_is_ended(play: World) -> None:
    play.unheard.add("HighErrorRate")
    done = _fire("HighErrorRate")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["problem"] == "nothing was attempted in time"
    assert len(play.posted) == 2


def test_a_refused_notification_is_a_failure(play: World) -> None:
    play.refusing.add("discord-critical")
    done = _fire("HighErrorRate")
    assert done.exit_code == 1
    [receiver] = json.loads(done.stdout)["receivers"]
    assert (receiver["attempts"], receiver["failures"], receiver["seconds"]) == (1, 1, None)


def test_an_alert_that_inhibits_it_is_named(play: World) -> None:
    play.inhibited.add("SlowAPIResponses")
    play.raises, play.faults = {"http_errors": "HighErrorRate"}, {"http_errors": 1}
    for _ in range(2):
        play.answer("prometheus", "GET", "/api/v1/alerts", None)
    done = _fire("SlowAPIResponses")
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert told["problem"] == "inhibited by HighErrorRate (critical)"
    assert len(play.posted) == 2


def test_it_is_ended_when_the_person_gives_up(play: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cli.fire.outcome", interrupted)
    assert _fire("HighErrorRate").exit_code == 130
    assert len(play.posted) == 2


def test_an_environment_that_does_not_name_receivers_says_what_to_do(play: World) -> None:
    play.names_receivers = False
    done = _fire("HighErrorRate")
    assert done.exit_code == 1
    assert "bring the environment up again" in json.loads(done.stdout)["problem"]
    assert play.posted == []


def test_people_get_a_table(play: World) -> None:
    done = CliRunner().invoke(app, ["fire", "HighErrorRate", "-e", "play"])
    assert done.exit_code == 0
    assert "discord-critical" in done.stdout
    assert play.posted


METRICS = """\
alertmanager_notifications_total{integration="email",receiver_name="people"} 3
alertmanager_notifications_failed_total{integration="email",reason="clientError",receiver_name="people"} 1
alertmanager_notifications_failed_total{integration="email",reason="other",receiver_name="people"} 1
alertmanager_notification_requests_total{integration="email",receiver_name="people"} 7
alertmanager_notification_requests_failed_total{integration="email",receiver_name="people"} 6
alertmanager_notifications_total{integration="slack"} 5
alertmanager_alerts{state="active"} 2
"""


def test_counts_are_read_by_receiver_with_failures_of_every_reason() -> None:
    counts = attempts.read(METRICS)
    assert counts == {("people", "email"): Count(attempts=3, failures=2, requests=7, refused=6)}
    assert counts["people", "email"].delivered == 1
    assert counts["people", "email"].and_also(Count(attempts=1, requests=1)).delivered == 2
    assert counts["people", "email"].since(Count(attempts=2, requests=5, refused=5)).delivered == 1


def _alert(name: str, **status: Any) -> dict[str, Any]:
    return {
        "labels": {"alertname": name, "severity": "critical"},
        "fingerprint": name,
        "status": {"silencedBy": [], "inhibitedBy": [], **status},
    }


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ({}, ""),
        ({"silencedBy": ["f00"]}, "silenced by f00"),
        ({"inhibitedBy": ["A"]}, "inhibited by A (critical)"),
        ({"inhibitedBy": ["gone"]}, "inhibited by gone"),
        ({"mutedBy": ["night"]}, "muted by night"),
    ],
)
def test_why_nobody_is_told(status: dict[str, Any], why: str) -> None:
    assert attempts.held_back(_alert("B", **status), [_alert("A")]) == why
