"""The command line program of LMMC, simulated: a resident exporter that runs its commands, and serves their metrics.

    python -m workloads.lmmc.cli --listen http=127.0.0.1:9081 --peer lmmc-server=http://127.0.0.1:9080

In the directory of `--data`, where there is one, it also writes `lmmc-cli.prom` for node-exporter.
"""

import logging
import random
import signal
import threading
from collections.abc import Callable

import httpx

from instrument.cli import Commands, write_textfile
from instrument.httpd import Server
from instrument.metrics import Metrics
from instrument.tracing import Tracing
from workloads.arguments import parse
from workloads.lmmc.metrics import PRIORITIES
from workloads.lmmc.process import report, tracing_of

NAMES = ("add", "done", "list", "search", "status")
SHARES = (3, 3, 4, 3, 1)
REPOSITORY = "cli"
# Seconds between two commands, on average.
EVERY = 2.0
TIMEOUT = 10.0
MOST_OPEN = 10
TEXTFILE = "lmmc-cli.prom"

_LOG = logging.getLogger("lmmc.cli")


class Cli:
    """Runs commands as a user would, each with real requests to the server; counted and timed."""

    def __init__(self, metrics: Metrics, server: httpx.Client, rng: random.Random, tracing: Tracing) -> None:
        self._commands = Commands(metrics, NAMES)
        self._server = server
        self._rng = rng
        self._tracing = tracing
        self._added: list[str] = []
        self._runs: dict[str, Callable[[], None]] = {
            "add": self._add,
            "done": self._done,
            "list": self._list,
            "search": self._search,
            "status": self._status,
        }

    def run(self, name: str) -> bool:
        """Run a command; whether it succeeded."""
        try:
            with self._tracing.span(f"lmmc {name}"), self._commands.run(name):
                self._runs[name]()
                _LOG.info("command", extra={"command": name})
        except httpx.HTTPError as problem:
            _LOG.error("command failed", extra={"command": name, "error": str(problem)})
            return False
        return True

    def next(self) -> str:
        """The command that comes next: tasks are completed about as often as they are added."""
        if len(self._added) >= MOST_OPEN:
            return "done"
        name = self._rng.choices(NAMES, SHARES)[0]
        return "add" if name == "done" and not self._added else name

    def _add(self) -> None:
        task = {"content": "Write it down", "repository": REPOSITORY, "priority": self._rng.choice(PRIORITIES)}
        answer = self._ask("POST", "/api/v1/tasks", task | {"status": "in_progress"})
        self._added.append(answer.json()["task_id"])

    def _done(self) -> None:
        self._ask("PATCH", f"/api/v1/tasks/{self._added.pop(0)}", {"status": "completed"})

    def _list(self) -> None:
        self._ask("GET", f"/api/v1/tasks?repository={REPOSITORY}")

    def _search(self) -> None:
        self._ask("POST", "/api/v1/search", {"text": "release notes"})

    def _status(self) -> None:
        self._ask("GET", "/health")

    def _ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        answer = self._server.request(method, path, json=body, headers=self._tracing.headers())
        return answer.raise_for_status()


def main() -> None:
    asked = parse("workloads.lmmc.cli")
    tracing = tracing_of("lmmc-cli", asked)
    metrics = Metrics("lmmc_", exemplar=tracing.exemplar)
    report("lmmc-cli", asked, tracing, metrics)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    rng = random.Random(asked.seed)
    listen = asked.listen["http"]
    with httpx.Client(base_url=asked.peers["lmmc-server"], timeout=TIMEOUT, trust_env=False) as server:
        cli = Cli(metrics, server, rng, tracing)
        exposed = Server(metrics, listen.host, listen.port)
        while not stop.wait(rng.uniform(0, 2 * EVERY)):
            cli.run(cli.next())
            if asked.data.is_dir():
                write_textfile(metrics, asked.data / TEXTFILE)
        exposed.close()
    tracing.close()


if __name__ == "__main__":
    main()
