"""A Kafka broker, simulated in the backend's process: topics of partitions, and consumers that poll over HTTP.

A poll commits what the consumer has handled, and answers with the records that follow, or waits for some.
"""

import asyncio
import time
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from workloads.body import json_object
from workloads.faults import Faults, number
from workloads.phase5.metrics import REMINDERS, TASK_EVENTS

PARTITIONS = {TASK_EVENTS: 3, REMINDERS: 3}
GROUP = "phase5-reminder-agent"
# Records of a partition; the oldest go first, whether they were read or not.
KEPT = 2000
POLLED = 200
LONGEST = 30.0
POLL = "/_sim/kafka/poll"
UNKNOWN = -1


@dataclass(frozen=True)
class Record:
    """A message. `headers` carry the context of the trace that it belongs to."""

    topic: str
    partition: int
    offset: int
    timestamp: float
    key: str
    value: dict[str, str]
    headers: dict[str, str]


class Broker:
    """Topics, and how far the consumer group has come in each of their partitions."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._records = {
            (topic, partition): deque[Record](maxlen=KEPT)
            for topic, count in PARTITIONS.items()
            for partition in range(count)
        }
        self._ends = dict.fromkeys(self._records, 0)
        self._committed: dict[tuple[str, int], int] = {}
        self._news = asyncio.Event()
        self._stopped = False

    @staticmethod
    def partition(topic: str, key: str) -> int:
        """Where messages of this key go: those of one task stay in order."""
        return zlib.crc32(key.encode()) % PARTITIONS[topic]

    def send(self, topic: str, key: str, value: dict[str, str], headers: Mapping[str, str]) -> Record:
        """Append a message to the partition of its key."""
        where = topic, self.partition(topic, key)
        record = Record(*where, self._ends[where], time.time(), key, value, dict(headers))
        self._records[where].append(record)
        self._ends[where] += 1
        self._news.set()
        return record

    def offsets(self) -> Iterator[tuple[str, int, int, int]]:
        """Topic, partition, offset of the next message, and how many the group lags; before its first poll -1."""
        for where, end in self._ends.items():
            lag = end - self._committed[where] if where in self._committed else UNKNOWN
            yield *where, end, lag

    async def poll(self, committed: Mapping[str, Mapping[str, int]], seconds: float) -> list[Record]:
        """What follows the last commit. While the fault `consumer_pause` is on, nothing does."""
        self._commit(committed)
        deadline = time.monotonic() + seconds
        while True:
            self._news.clear()
            records = [] if self._faults.value("consumer_pause") else self._next()
            left = deadline - time.monotonic()
            if records or self._stopped or left <= 0:
                return records
            try:
                async with asyncio.timeout(left):
                    await self._news.wait()
            except TimeoutError:
                return []

    def stop(self) -> None:
        """Answer polls that wait, and later ones at once."""
        self._stopped = True
        self._news.set()

    def route(self) -> Route:
        return Route(POLL, self._poll, methods=["POST"])

    def _commit(self, committed: Mapping[str, Mapping[str, int]]) -> None:
        for where in self._ends:
            self._committed.setdefault(where, 0)
        for topic, offsets in committed.items():
            for partition, offset in offsets.items():
                where = topic, int(partition)
                self._committed[where] = max(self._committed[where], min(offset, self._ends[where]))

    def _next(self) -> list[Record]:
        records: list[Record] = []
        for where, kept in self._records.items():
            # What is no longer kept is skipped, as a consumer does that starts anew at the earliest record.
            first = self._ends[where] - len(kept)
            skip = max(0, self._committed[where] - first)
            records += [record for place, record in enumerate(kept) if skip <= place < skip + POLLED]
        return sorted(records, key=lambda record: record.timestamp)

    async def _poll(self, request: Request) -> JSONResponse:
        asked = await json_object(request)
        seconds = number(asked, "seconds", 0, LONGEST)
        records = await self.poll(_committed(asked.get("committed")), seconds)
        return JSONResponse(
            {
                "records": [asdict(record) for record in records],
                "reminder_errors": self._faults.value("reminder_errors"),
            }
        )


def _committed(asked: object) -> dict[str, dict[str, int]]:
    """`{topic: {partition: offset}}` of a request body; HTTPException 422 when it is something else."""
    if not isinstance(asked, dict):
        raise HTTPException(422, "committed is not {topic: {partition: offset}}")
    for topic, offsets in asked.items():
        accepted = {str(partition) for partition in range(PARTITIONS.get(topic, 0))}
        if not isinstance(offsets, dict) or not offsets.keys() <= accepted:
            raise HTTPException(422, f"committed: {topic!r} is no topic, or has not these partitions")
        for offset in offsets.values():
            if type(offset) is not int or offset < 0:
                raise HTTPException(422, f"committed: {offset!r} is no offset")
    return asked
