"""Who is told of an alert by which way, and what has to stand in what they get."""

from typing import Any

import pytest
from conftest import MakePlan

from cli import channels
from cli.channels import Channel, Status
from rules import Alert
from stacks.plan import Plan

RUNBOOK = "https://watchstack.dev/runbooks/ShopErrors"
ALERT = Alert(
    pack="shop",
    name="ShopErrors",
    expr="",
    wait="5m",
    labels={"system": "shop", "component": "api", "severity": "critical"},
    annotations={"runbook_url": RUNBOOK},
    place="",
    seen="",
)
TEXT = f"**ShopErrors** shop/api critical firing\n\nsummary\n\n[Runbook]({RUNBOOK}) · [Silence](http://x)\n"
PLAIN = f"ShopErrors shop/api critical firing\nsummary\nRunbook: {RUNBOOK}\n"
MARKED = f"*ShopErrors* shop/api critical firing\nsummary\n<{RUNBOOK}|Runbook>\n"
DISCORD = Channel(receiver="people", integration="discord", resolved=True, path="/discord")
TEAMS = Channel(receiver="people", integration="msteamsv2", resolved=True, path="/teams")
SLACK = Channel(receiver="people", integration="slack", resolved=True, path="/slack", mark="#urgent")
MAIL = Channel(receiver="people", integration="email", resolved=True, path="/email")
HOOK = Channel(receiver="people", integration="webhook", resolved=True, path="/webhook", mark="people")


def _of(plan: Plan, name: str) -> list[tuple[str, str | None, bool]]:
    alert = next(alert for alert in plan.alerts if alert.name == name)
    return [(one.name, one.path, one.resolved) for one in channels.of(plan, alert.labels)]


def test_the_channels_of_boss_workflow_end_at_the_capture_receiver(make_plan: MakePlan) -> None:
    plan = make_plan()
    assert _of(plan, "HighErrorRate") == [("discord-critical (discord)", "/discord", True)]
    assert _of(plan, "LowCacheHitRate") == [("discord-info (discord)", "/discord", False)]


def test_one_that_goes_on_is_told_and_so_is_the_next_by_mail_too(make_plan: MakePlan) -> None:
    mail = {"smarthost": "capture", "from": "a@example.org", "to": ["b@example.org"]}
    slack = {"slack-webhook": {"capture": "slack"}}
    assert _of(make_plan(systems={"phase5": {"workload": True}}, secrets=slack, email=mail), "AuditLogFailures") == [
        ("phase5-agents (slack)", "/slack", True),
        ("phase5-critical (slack)", "/slack", True),
        ("phase5-critical (email)", "/email", True),
    ]


def test_a_webhook_ends_at_a_service_of_the_system_or_where_a_secret_says(make_plan: MakePlan) -> None:
    systems = {"tdd-project": {"workload": True}}
    labels = {"system": "tdd-project"}
    [service] = channels.of(make_plan(systems=systems, secrets={}), labels)
    assert (service.service, service.path) == ("tdd-app", None)
    [captured] = channels.of(make_plan(systems=systems, secrets={"tdd-webhook": {"capture": "webhook"}}), labels)
    assert (captured.service, captured.path) == (None, "/webhook")
    [real] = channels.of(make_plan(systems=systems, secrets={"tdd-webhook": {"file": "~/hook"}}), labels)
    assert (real.service, real.path) == (None, None)


def _hook(status: str = "firing", **labels: str) -> dict[str, Any]:
    alert = {
        "status": status,
        "labels": {"alertname": "ShopErrors", **ALERT.labels, "instance": "a:1", **labels},
        "annotations": {"runbook_url": RUNBOOK},
    }
    return {"receiver": "people", "alerts": [alert]}


@pytest.mark.parametrize(
    ("channel", "body"),
    [
        (TEAMS, {"attachments": [{"content": {"body": [{"text": TEXT.replace("/api", "/a\\pi")}]}}]}),
        (DISCORD, {"embeds": [{"title": "[FIRING:1]", "description": TEXT}]}),
        (SLACK, {"channel": "#urgent", "attachments": [{"text": MARKED}]}),
        (MAIL, {"subject": "[FIRING:1] ShopErrors", "text": PLAIN}),
        (HOOK, _hook()),
    ],
    ids=lambda value: value.integration if isinstance(value, Channel) else "",
)
def test_a_notification_that_says_it_all_counts_and_one_of_the_other_state_does_not(
    channel: Channel, body: Any
) -> None:
    arrived = [{"path": channel.path, "body": body}]
    assert channels.told(channel, ALERT, "firing", arrived)
    assert not channels.told(channel, ALERT, "resolved", arrived)
    assert not channels.told(channel, ALERT, "firing", [{"path": "/elsewhere", "body": body}])


@pytest.mark.parametrize(
    ("channel", "body", "status"),
    [
        (DISCORD, {"description": TEXT.replace("critical", "warning")}, "firing"),
        (DISCORD, {"description": TEXT.replace("runbooks", "pages")}, "firing"),
        (DISCORD, {"description": TEXT.replace("ShopErrors", "ShopErrorsToo")}, "firing"),
        (SLACK, {"channel": "#other", "attachments": [{"text": TEXT}]}, "firing"),
        (HOOK, _hook(severity="warning"), "firing"),
        (HOOK, _hook() | {"receiver": "others"}, "firing"),
        (HOOK, {"receiver": "people", "alerts": []}, "firing"),
        (HOOK, _hook(), "resolved"),
    ],
)
def test_one_that_lacks_something_does_not_count(channel: Channel, body: Any, status: Status) -> None:
    assert not channels.told(channel, ALERT, status, [{"path": channel.path, "body": body}])
