"""WebSocket clients hear of what they subscribe to, and every message and connection is counted."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from starlette.websockets import WebSocket

from instrument.families import WebSockets
from instrument.metrics import Metrics
from workloads.lmmc import sockets
from workloads.lmmc.metrics import MESSAGES
from workloads.lmmc.sockets import Hub

Message = dict[str, Any]


class Line:
    """The client's end of a connection to the hub."""

    def __init__(self, hub: Hub) -> None:
        self._to_hub: asyncio.Queue[Message] = asyncio.Queue()
        self._from_hub: asyncio.Queue[Message] = asyncio.Queue()
        self._to_hub.put_nowait({"type": "websocket.connect"})
        socket = WebSocket({"type": "websocket", "path": "/ws", "headers": []}, self._to_hub.get, self._send)
        self.ended = asyncio.create_task(hub.endpoint(socket))

    async def _send(self, message: Any) -> None:
        await self._from_hub.put(message)

    async def next(self) -> Message:
        """The next protocol message of the hub."""
        return await asyncio.wait_for(self._from_hub.get(), 5)

    async def hear(self) -> Message:
        """The next JSON message of the hub."""
        heard: Message = json.loads((await self.next())["text"])
        return heard

    def say(self, **message: object) -> None:
        self.send(text=json.dumps(message))

    def send(self, **frame: object) -> None:
        self._to_hub.put_nowait({"type": "websocket.receive", **frame})

    async def leave(self) -> None:
        self._to_hub.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await self.ended


class Counted:
    """A hub, and what it counted."""

    def __init__(self) -> None:
        self.metrics = Metrics("lmmc_")
        names = {"active": "websocket_connections_active", "messages": ("websocket_messages_total", MESSAGES)}
        self.hub = Hub(WebSockets(self.metrics, **names))  # type: ignore[arg-type]

    @property
    def active(self) -> float | None:
        assert self.metrics.registry
        return self.metrics.registry.get_sample_value("lmmc_websocket_connections_active")

    def messages(self, direction: str, kind: str) -> float | None:
        assert self.metrics.registry
        labels = {"direction": direction, "type": kind}
        return self.metrics.registry.get_sample_value("lmmc_websocket_messages_total", labels)


def _run(work: Callable[[Counted], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        await work(Counted())

    asyncio.run(run())


async def _joined(counted: Counted) -> Line:
    line = Line(counted.hub)
    assert (await line.next())["type"] == "websocket.accept"
    return line


def test_subscriber_hears_of_its_repository_only() -> None:
    async def work(counted: Counted) -> None:
        line = await _joined(counted)
        line.say(type="subscribe", repository="web")
        assert await line.hear() == {"type": "subscribed", "repository": "web"}
        counted.hub.publish("api", "task", task={"task_id": "TASK-1"})
        counted.hub.publish("web", "task", task={"task_id": "TASK-2"})
        assert await line.hear() == {"type": "task", "task": {"task_id": "TASK-2"}}
        await line.leave()
        assert counted.messages("in", "subscribe") == 1
        assert counted.messages("out", "subscribed") == 1
        assert counted.messages("out", "task") == 1

    _run(work)


def test_open_connections_are_counted_and_no_longer_when_they_end() -> None:
    async def work(counted: Counted) -> None:
        lines = [await _joined(counted) for _ in range(3)]
        assert counted.active == 3
        for line in lines:
            await line.leave()
        assert counted.active == 0

    _run(work)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"type": "pong"}', "pong"),
        ('{"type": "dance"}', "other"),
        ('{"type": "subscribe"}', "subscribe"),
        ('{"type": ["ping"]}', "other"),
        ("[1]", "other"),
        ("no JSON", "other"),
        ("[" * 4000, "other"),
    ],
)
def test_message_that_is_not_understood_is_answered_with_what_is(text: str, kind: str) -> None:
    async def work(counted: Counted) -> None:
        line = await _joined(counted)
        line.send(text=text)
        assert "subscribe" in (await line.hear())["error"]
        line.say(type="ping")
        assert await line.hear() == {"type": "pong"}
        await line.leave()
        assert counted.messages("in", kind) == 1
        assert counted.messages("out", "error") == 1

    _run(work)


@pytest.mark.parametrize(
    ("frame", "code"), [({"text": "x" * (sockets.LONGEST + 1)}, 1009), ({"bytes": b"binary"}, 1003)]
)
def test_message_that_is_too_long_or_binary_ends_the_connection(frame: dict[str, object], code: int) -> None:
    async def work(counted: Counted) -> None:
        line = await _joined(counted)
        line.send(**frame)
        closed = await line.next()
        assert (closed["type"], closed["code"]) == ("websocket.close", code)
        await line.ended
        assert counted.active == 0

    _run(work)


def test_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "CONNECTIONS", 1)

    async def work(counted: Counted) -> None:
        first = await _joined(counted)
        second = Line(counted.hub)
        assert (await second.next())["type"] == "websocket.close"
        await second.ended
        assert counted.active == 1
        await first.leave()

    _run(work)


def test_client_that_reads_nothing_loses_messages_and_costs_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "WAITING", 2)

    async def work(counted: Counted) -> None:
        line = await _joined(counted)
        line.say(type="subscribe", repository="web")
        await line.hear()
        for number in range(10):
            counted.hub.publish("web", "task", number=number)
        assert [(await line.hear())["number"] for _ in range(2)] == [0, 1]
        counted.hub.publish("web", "task", number=10)
        assert (await line.hear())["number"] == 10
        await line.leave()

    _run(work)
