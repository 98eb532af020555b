"""What instrument/ costs a request, beside the same application without it and with another's middleware."""

import asyncio
import gc
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import tenacity
from e2e.environments import ROOT
from prometheus_client import CollectorRegistry, Counter

from benchmarks import instrument_apps as apps
from benchmarks.result import Result
from instrument import Metrics
from instrument.asgi import ASGIApp, Message
from instrument.http import Http
from instrument.http.paths import Paths

ROUNDS = 15
CALLED = 10_000
# By the wall clock: many short runs, so that what else the machine does is in few of them.
SHORT_ROUNDS = 201
SERVED = 300
SINGLE_ROUNDS = 2000
# As many under way that the server never waits for its client.
CONNECTIONS = 8
PORT = 47310
PATHS = 10_000_000
LABELS = 100


def measure() -> list[Result]:
    return [_served(), _added(), _worked(), _fastapi(), _paths()]


def _served() -> Result:
    """Requests of an empty handler under uvicorn: 0.95 of the requests a second is 1/0.95 of the time."""
    with _server("either") as server:
        pairs = _in_turn(lambda: _answered(server, "/ours"), lambda: _answered(server, "/bare"), SHORT_ROUNDS)
    return _result("empty ASGI handler under uvicorn / bare", pairs, "µs/request", 1 / 0.95)


def _added() -> Result:
    """Processor time added to a request, in this process, against five increments of the client library."""
    counter = Counter("bare", "Bare.", registry=CollectorRegistry())

    def five() -> float:
        started = time.process_time()
        for _ in range(CALLED):
            counter.inc()
            counter.inc()
            counter.inc()
            counter.inc()
            counter.inc()
        return 1e6 * (time.process_time() - started) / CALLED

    def added() -> float:
        return _called(apps.empty_instrumented, CALLED) - _called(apps.empty, CALLED)

    return _result("CPU added to a request / five Counter.inc()", _in_turn(added, five), "µs", 1.5)


def _worked() -> Result:
    """Time of a handler that works for a millisecond, without a server: there it would be a smaller part."""
    ours, theirs = apps.instrumented(apps.busy), apps.busy

    async def in_turn() -> list[tuple[float, float]]:
        pairs = []
        for _ in range(SINGLE_ROUNDS // 2):
            pairs.append((await _seconds(ours, 1), await _seconds(theirs, 1)))
            other = await _seconds(theirs, 1)
            pairs.append((await _seconds(ours, 1), other))
        return [(1e6 * one, 1e6 * another) for one, another in pairs]

    return _result("1 ms handler / bare", asyncio.run(in_turn()), "µs/request", 1.01)


def _fastapi() -> Result:
    """Processor time added to a request of FastAPI, against its most used instrumentator."""
    bare, ours, theirs = apps.fastapi(), apps.fastapi_instrumented(), apps.fastapi_instrumentator()
    calls = CALLED // 10
    pairs = _in_turn(
        lambda: _called(ours, calls) - _called(bare, calls), lambda: _called(theirs, calls) - _called(bare, calls)
    )
    return _result("CPU added to FastAPI / by prometheus-fastapi-instrumentator", pairs, "µs", 1)


def _paths() -> Result:
    """Ten million paths that nobody declared, each another."""
    metrics = Metrics()
    http = Http(metrics, paths=Paths(limit=LABELS))
    started = time.perf_counter()
    for number in range(PATHS):
        http.recorder("GET", http.paths.label(f"/page-{number}", None, 200), 200)(0.001)
    seconds = time.perf_counter() - started
    lines = metrics.exposition()[0].decode().splitlines()
    series = sum(line.startswith("http_requests_total{") for line in lines)
    return Result(name=f"series of {PATHS:,} paths, {seconds:.0f} s", ours=(series,), unit="series", limit=LABELS)


def _result(name: str, pairs: list[tuple[float, float]], unit: str, limit: float) -> Result:
    ours, theirs = zip(*pairs, strict=True)
    return Result(name=name, ours=ours, theirs=theirs, unit=unit, limit=limit)


def _in_turn(ours: Callable[[], float], theirs: Callable[[], float], rounds: int = ROUNDS) -> list[tuple[float, float]]:
    """Pairs of runs, each side first as often as second. The first pair only warms up."""
    # What is there already is nobody's garbage: looking through it would be in some runs and not in others.
    gc.collect()
    gc.freeze()
    pairs = []
    for number in range(rounds + 1):
        if number % 2:
            other = theirs()
            pairs.append((ours(), other))
        else:
            pairs.append((ours(), theirs()))
    return pairs[1:]


def _called(app: ASGIApp, calls: int) -> float:
    """Microseconds of processor time of a request, without a server."""
    return 1e6 * asyncio.run(_seconds(app, calls, time.process_time)) / calls


async def _seconds(app: ASGIApp, calls: int, clock: Callable[[], float] = time.perf_counter) -> float:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: Message) -> None:
        pass

    started = clock()
    for _ in range(calls):
        scope = {"type": "http", "method": "GET", "path": "/tasks/7", "query_string": b"", "headers": []}
        await app(scope, receive, send)
    return clock() - started


@contextmanager
def _server(name: str) -> Iterator[list[socket.socket]]:
    """Open connections to an application in a process of its own."""
    line = [sys.executable, "-m", "uvicorn", f"benchmarks.instrument_apps:{name}", "--port", str(PORT)]
    line += ["--no-access-log", "--log-level", "error", "--lifespan", "off"]
    process = subprocess.Popen(line, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    connections: list[socket.socket] = []
    try:
        connections += [_connected() for _ in range(CONNECTIONS)]
        yield connections
    finally:
        for connection in connections:
            connection.close()
        process.terminate()
        process.wait()


@tenacity.retry(stop=tenacity.stop_after_delay(30), wait=tenacity.wait_fixed(0.1), reraise=True)
def _connected() -> socket.socket:
    return socket.create_connection(("127.0.0.1", PORT), timeout=30)


def _answered(connections: list[socket.socket], path: str) -> float:
    """Microseconds until the next answer, when there is always a request waiting."""
    request = f"GET {path} HTTP/1.1\r\nHost: benchmark\r\n\r\n".encode()
    started = time.perf_counter()
    for connection in connections:
        connection.sendall(request)
    for number in range(SERVED):
        connection = connections[number % len(connections)]
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += connection.recv(65536)
        if number < SERVED - len(connections):
            connection.sendall(request)
    return 1e6 * (time.perf_counter() - started) / SERVED
