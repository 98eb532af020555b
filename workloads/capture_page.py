"""The page of the receiver stand-in: what came, as a person would read it."""

import json
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, NamedTuple

LONGEST = 2000

_STYLE = """
:root { color-scheme: light dark; --line: #d5d9e0; --quiet: #5b6472; --firing: #b3261e; --resolved: #1a7f45; }
@media (prefers-color-scheme: dark) {
  :root { --line: #3a404b; --quiet: #9aa4b2; --firing: #ff7b72; --resolved: #56d38a; }
}
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 52rem; padding: 0 1rem; }
h1 { font-size: 1.3rem; }
header { margin-bottom: 1rem; }
header p, time, code { color: var(--quiet); }
article { border: 1px solid var(--line); border-left: 4px solid var(--quiet); border-radius: 4px;
  margin: 0 0 1rem; padding: .6rem 1rem; }
article.firing { border-left-color: var(--firing); }
article.resolved { border-left-color: var(--resolved); }
h2 { font-size: 1rem; margin: .3rem 0 0; overflow-wrap: anywhere; }
p { margin: .1rem 0; white-space: pre-wrap; overflow-wrap: anywhere; }
"""


class Message(NamedTuple):
    title: str
    text: str


def page(notifications: Sequence[dict[str, Any]], heartbeat: str) -> str:
    """HTML of notifications, newest first, and when the last heartbeat came; all of it is escaped."""
    articles = "\n".join(_article(notification) for notification in notifications)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="5">
<title>Captured notifications</title>
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>Captured notifications</h1>
<p>{_heading(len(notifications))}</p>
<p>Last heartbeat: {escape(heartbeat) or "none"}</p>
</header>
<main>
{articles}
</main>
</body>
</html>
"""


def messages(body: Any) -> Iterator[Message]:
    """What a person reads in a mail or a Discord, Slack or Alertmanager body; of any other, the JSON itself."""
    found = [*_discord(body), *_slack(body), *_alerts(body), *_mail(body)]
    yield from found or [Message("", json.dumps(body, indent=2, ensure_ascii=False))]


def _discord(body: Any) -> Iterator[Message]:
    if content := _get(body, "content"):
        yield Message("", str(content))
    for embed in _list(body, "embeds"):
        yield Message(str(_get(embed, "title")), str(_get(embed, "description")))


def _slack(body: Any) -> Iterator[Message]:
    for attachment in _list(body, "attachments"):
        title, text = str(_get(attachment, "title")), str(_get(attachment, "text"))
        # The fallback repeats the title.
        yield Message(title, text if title or text else str(_get(attachment, "fallback")))


def _alerts(body: Any) -> Iterator[Message]:
    for alert in _list(body, "alerts"):
        labels, notes = _get(alert, "labels"), _get(alert, "annotations")
        status = str(_get(alert, "status")).upper()
        lines = [_get(notes, "summary"), _get(notes, "description"), _pairs(labels)]
        yield Message(f"[{status}] {_get(labels, 'alertname')}", "\n".join(str(line) for line in lines if line))


def _mail(body: Any) -> Iterator[Message]:
    if subject := _get(body, "subject"):
        yield Message(str(subject), str(_get(body, "text")))


def _article(notification: dict[str, Any]) -> str:
    found = list(messages(notification["body"]))
    parts = "\n".join(_part(message) for message in found)
    return (
        f'<article class="{_state(found)}">\n'
        f"<time>{escape(notification['received'])}</time> <code>{escape(notification['path'])}</code>\n"
        f"{parts}\n</article>"
    )


def _part(message: Message) -> str:
    title = f"<h2>{_shown(message.title)}</h2>" if message.title else ""
    return f"{title}<p>{_shown(message.text.strip())}</p>"


def _state(found: list[Message]) -> str:
    titles = " ".join(message.title for message in found).upper()
    return "firing" if "FIRING" in titles else "resolved" if "RESOLVED" in titles else ""


def _shown(text: str) -> str:
    return escape(text if len(text) <= LONGEST else text[:LONGEST] + " …")


def _heading(count: int) -> str:
    if not count:
        return "Nothing has arrived yet. This page looks again every 5 seconds."
    return f"The newest {count}. This page looks again every 5 seconds."


def _pairs(labels: Any) -> str:
    return " ".join(f"{name}={value}" for name, value in sorted(labels.items())) if isinstance(labels, dict) else ""


def _get(value: Any, key: str) -> Any:
    """A member of a JSON object; the empty string where there is none."""
    return value.get(key) or "" if isinstance(value, dict) else ""


def _list(value: Any, key: str) -> list[Any]:
    found = _get(value, key)
    return found if isinstance(found, list) else []
