"""What users of GraphMemory do, for the load generator."""

import random
from collections import deque
from collections.abc import Callable
from typing import Any

import httpx

from workloads.graphmemory.metrics import EVENTS, INDEXES, NODE_KINDS, SOURCES, STEPS
from workloads.load import Call

USERS = 60
# Share of the memories that are searched for.
ASKED_FOR = 0.3

_ACTIONS = {
    "read": 26,
    "search": 18,
    "create": 12,
    "collaborate": 12,
    "update": 6,
    "extract": 5,
    "traverse": 5,
    "query": 3,
    "edge": 3,
    "onboard": 3,
    "delete": 2,
    "sign_in": 2,
    "health": 1,
    "missing": 1,
    "unmatched": 1,
}
_EVENT_WEIGHTS = (2, 2, 10, 4, 1)
_PEOPLE = ("Ana", "Bo", "Chen", "Dara")
_FILES = ("parser.py", "graph.ts", "notes.md", "schema.sql", "index.rs")
_VERBS = ("rewrote", "reviewed", "split", "measured", "documented")
_FUNCTIONS = ("parse()", "merge()", "embed()", "rank()", "load()")
_TOPICS = ("streaming", "concurrency", "migration", "caching", "indexing", "authentication")


class GraphMemoryTraffic:
    """Makes up calls: a seeded mix in which memories are written, read, searched, connected and shared."""

    def __init__(self) -> None:
        self._recent: deque[int] = deque(maxlen=60)
        self._questions: deque[tuple[str, str]] = deque(maxlen=20)
        self._makers: dict[str, Callable[[random.Random], Call]] = {
            "read": lambda rng: Call("GET", self._memory(rng)),
            "search": self._search,
            "create": self._create,
            "collaborate": _collaborate,
            "update": lambda rng: Call("PUT", self._memory(rng), {"text": _text(rng)}),
            "extract": self._extract,
            "traverse": lambda rng: Call("GET", f"/api/graph/nodes/{self._node(rng)}/neighbours"),
            "query": lambda rng: Call("GET", f"/api/graph/nodes?kind={rng.choice(NODE_KINDS)}"),
            "edge": self._edge,
            "onboard": _onboard,
            "delete": self._delete,
            "sign_in": lambda rng: Call("POST", "/api/sessions", {"user": f"user-{rng.randrange(USERS)}"}),
            "health": lambda _rng: Call("GET", "/health"),
            "missing": lambda _rng: Call("GET", "/api/memories/999999999"),
            "unmatched": lambda rng: Call("GET", f"/old/{rng.randrange(1000)}"),
        }

    def __call__(self, rng: random.Random) -> Call:
        (action,) = rng.choices(tuple(_ACTIONS), tuple(_ACTIONS.values()))
        if not self._recent:
            action = "create"
        call = self._makers[action](rng)
        return Call(call.method, call.path, call.json, {"X-User-Id": f"user-{rng.randrange(USERS)}"}, call.answered)

    def _create(self, rng: random.Random) -> Call:
        index, text = rng.choice(INDEXES), _text(rng)
        # Some memories many ask for.
        if not self._questions or rng.random() < ASKED_FOR:
            person, verb, function, *_, topic = text.split()
            self._questions.append((index, f"{person} {verb} {function} {topic}"))
        return Call("POST", "/api/memories", {"index": index, "text": text}, answered=self._created)

    def _created(self, response: httpx.Response) -> None:
        if response.is_success:
            self._recent.append(response.json()["memory_id"])

    def _delete(self, _rng: random.Random) -> Call:
        return Call("DELETE", f"/api/memories/{self._recent.popleft() if len(self._recent) > 1 else 0}")

    def _extract(self, rng: random.Random) -> Call:
        return Call(
            "POST", "/api/extractions", {"source": rng.choice(SOURCES), "name": self._node(rng), "text": _text(rng)}
        )

    def _edge(self, rng: random.Random) -> Call:
        kind = rng.choice(("relates_to", "derived_from"))
        return Call("POST", "/api/graph/edges", {"kind": kind, "source": self._node(rng), "target": self._node(rng)})

    def _search(self, rng: random.Random) -> Call:
        index, text = rng.choice(self._questions)
        return Call("POST", "/api/search", {"index": index, "text": text})

    def _memory(self, rng: random.Random) -> str:
        return f"/api/memories/{rng.choice(self._recent)}"

    def _node(self, rng: random.Random) -> str:
        return f"memory-{rng.choice(self._recent)}"


def _collaborate(rng: random.Random) -> Call:
    (event,) = rng.choices(EVENTS, _EVENT_WEIGHTS)
    return Call("POST", f"/api/projects/project-{rng.randrange(12)}/events", {"event": event})


def _onboard(rng: random.Random) -> Call:
    """A step; most are completed, and later ones come later."""
    place = rng.randrange(len(STEPS))
    (outcome,) = rng.choices(("completed", "skipped", "failed"), (17, 2, 1))
    seconds = round((place + 1) * rng.lognormvariate(3.6, 0.6), 1)
    body: dict[str, Any] = {"step": STEPS[place], "outcome": outcome, "seconds": seconds}
    return Call("POST", "/api/onboarding", body)


def _text(rng: random.Random) -> str:
    return (
        f"{rng.choice(_PEOPLE)} {rng.choice(_VERBS)} {rng.choice(_FUNCTIONS)} "
        f"in {rng.choice(_FILES)} for {rng.choice(_TOPICS)}"
    )
