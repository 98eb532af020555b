"""The ways by which an alert reaches people, and what a notification must say when it arrives."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from apps.routing import Receiver, Webhook
from rules import Alert
from stacks import routes
from stacks.plan import Plan

Status = Literal["firing", "resolved"]


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One integration of a receiver.

    `path` is where it ends at the capture receiver, if there; `service` is the service of the system that it calls,
    if it does. `mark` is a value by which a body tells this receiver from another at the same path.
    """

    receiver: str
    integration: Literal["discord", "slack", "msteamsv2", "pagerduty", "telegram", "webhook", "email"]
    resolved: bool
    path: str | None = None
    service: str | None = None
    mark: str = ""

    @property
    def name(self) -> str:
        return f"{self.receiver} ({self.integration})"


def of(plan: Plan, labels: Mapping[str, str]) -> list[Channel]:
    """The channels of everybody who hears of an alert with these labels."""
    receivers = {receiver.name: receiver for profile in plan.profiles for receiver in profile.routing.receivers}
    return [channel for name in routes.hears(plan.profiles, labels) for channel in _channels(plan, receivers[name])]


def _channels(plan: Plan, receiver: Receiver) -> Iterator[Channel]:
    name = receiver.name
    if (discord := receiver.discord) is not None:
        path = _captured(plan, discord.webhook)
        yield Channel(receiver=name, integration="discord", resolved=discord.resolved, path=path)
    if (slack := receiver.slack) is not None:
        path, mark = _captured(plan, slack.url), slack.channel
        yield Channel(receiver=name, integration="slack", resolved=slack.resolved, path=path, mark=mark)
    if (teams := receiver.teams) is not None:
        path = _captured(plan, teams.webhook)
        yield Channel(receiver=name, integration="msteamsv2", resolved=teams.resolved, path=path)
    # What these ask for is no address: the capture receiver cannot stand in.
    if receiver.pagerduty is not None:
        yield Channel(receiver=name, integration="pagerduty", resolved=receiver.pagerduty.resolved)
    if receiver.telegram is not None:
        yield Channel(receiver=name, integration="telegram", resolved=receiver.telegram.resolved)
    if receiver.webhook is not None:
        yield _webhook(plan, name, receiver.webhook)
    if receiver.email is not None and (email := plan.settings.email) is not None:
        path = "/email" if email.captured else None
        yield Channel(receiver=name, integration="email", resolved=receiver.email.resolved, path=path)


def _webhook(plan: Plan, name: str, webhook: Webhook) -> Channel:
    given = webhook.url if webhook.url in plan.settings.secrets else None
    return Channel(
        receiver=name,
        integration="webhook",
        resolved=webhook.resolved,
        path=_captured(plan, given) if given else None,
        service=None if given else webhook.service,
        mark=name,
    )


def _captured(plan: Plan, secret: str) -> str | None:
    """The path at the capture receiver that stands in the place of a secret."""
    source = plan.settings.secrets.get(secret)
    return f"/{source.capture}" if source and source.capture else None


def told(channel: Channel, alert: Alert, status: Status, notifications: Iterable[Mapping[str, Any]]) -> bool:
    """Whether one of these notifications tells this alert by this channel: who, how bad, which state, what to do."""
    return any(
        notification["path"] == channel.path and _tells(channel, alert, status, notification["body"])
        for notification in notifications
    )


def _tells(channel: Channel, alert: Alert, status: Status, body: Any) -> bool:
    texts = list(_texts(body))
    if channel.mark and channel.mark not in texts:
        return False
    if channel.integration == "webhook":
        return any(_is(alert, status, one) for one in body.get("alerts", []))
    labels = alert.labels
    about = f"{labels.get('system', '')}/{labels.get('component', '')} {labels.get('severity', '')}"
    line, runbook = f"{alert.name} {about} {status}", alert.annotations["runbook_url"]
    return any(line in _plain(text) and runbook in text for text in texts)


def _plain(text: str) -> list[str]:
    """Its lines, without the markup of Discord, Slack and Teams."""
    return [line.strip() for line in text.replace("*", "").replace("\\", "").splitlines()]


def _is(alert: Alert, status: Status, one: Mapping[str, Any]) -> bool:
    """Whether an alert of a webhook's body is this one. Its labels may be more, those of the series."""
    wanted = {"alertname": alert.name, **{key: value for key, value in alert.labels.items() if "{{" not in value}}
    runbook = one["annotations"].get("runbook_url")
    return (one["status"], runbook) == (status, alert.annotations["runbook_url"]) and (
        wanted.items() <= dict(one["labels"]).items()
    )


def _texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)
