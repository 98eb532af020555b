"""Route labels: as many as the application has routes, whatever clients ask for."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable

from instrument.metrics import UNMATCHED

# A longer path is no route of anybody.
LONGEST = 200

_TASK = re.compile(r"TASK-\d+")
# An integer, a UUID, or eight and more hexadecimal digits with a decimal one among them: "feedback" is a word.
_ID = re.compile(r"\d+|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|(?=[a-fA-F]*\d)[0-9a-fA-F]{8,}")
_PARAMETER = re.compile(r"\{[^{}]*\}")


class Paths:
    """The label for a path.

    `templates` are the only labels there are, with `unmatched`. Without them labels are learnt from what is asked for,
    at most `limit` with `unmatched`; what comes later is `unmatched`.
    """

    def __init__(self, templates: Iterable[str] = (), limit: int = 100) -> None:
        self._templates = tuple(dict.fromkeys(templates))
        self._labels = {UNMATCHED, *self._templates}
        self._limit = limit
        self._lock = threading.Lock()
        # What names less comes later: `/tasks/new` is not a task.
        ordered = sorted(self._templates, key=lambda template: template.count("{"))
        self._patterns = [(matcher(template), template) for template in ordered]

    def label(self, path: str, template: str | None, status: int) -> str:
        """The router's template; without one the path with its ids replaced, unless the answer says there is none."""
        if template is None:
            template = self._found(path) if self._templates else _normal(path, status)
        if template in self._labels:
            return template
        return UNMATCHED if self._templates else self._learnt(template)

    def _found(self, path: str) -> str:
        if len(path) > LONGEST:
            return UNMATCHED
        return next((template for pattern, template in self._patterns if pattern.fullmatch(path)), UNMATCHED)

    def _learnt(self, label: str) -> str:
        with self._lock:
            if len(self._labels) < self._limit:
                self._labels.add(label)
            return label if label in self._labels else UNMATCHED


def below(root: str, path: str) -> str:
    """The path below `root`, where it is below it."""
    return path[len(root) :] if root and path.startswith(root) else path


def is_below(path: str, paths: Iterable[str]) -> bool:
    """Whether the path is one of these, or below one. One that ends with a slash has only what is below it."""
    return any(path == each or path.startswith(each if each.endswith("/") else f"{each}/") for each in paths)


def matcher(template: str) -> re.Pattern[str]:
    """What matches the paths of a route template such as `/tasks/{task_id}` or `/files/{name:path}`."""
    pattern, end = "", 0
    for parameter in _PARAMETER.finditer(template):
        anything = ".*" if parameter[0].endswith(":path}") else "[^/]+"
        pattern += re.escape(template[end : parameter.start()]) + anything
        end = parameter.end()
    return re.compile(pattern + re.escape(template[end:]), re.DOTALL)


def _normal(path: str, status: int) -> str:
    # A character that cannot be printed may be one that cannot be sent: it would fail every scrape from then on.
    if status in (404, 405) or len(path) > LONGEST or not path.isprintable():
        return UNMATCHED
    return "/".join(map(_segment, path.split("/")))


def _segment(text: str) -> str:
    if _TASK.fullmatch(text):
        return "{task_id}"
    return "{id}" if _ID.fullmatch(text) else text
