"""What is done to simulated systems, and always undone: faults, suspended processes, load."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from apps import Drill, Process
from cli.ask import Pending, get, post
from stacks.plan import Plan
from stacks.service import Endpoint
from stacks.targets import live

# For as long a process that is busy with its fault may be deaf.
_PATIENCE = 30


@contextmanager
def faulty(plan: Plan, drill: Drill, longest: float) -> Iterator[None]:
    """The fault of a drill, or a process that answers nobody, for the length of a block.

    Should this program not live to take the fault back, it ends after `longest` seconds.
    """
    if drill.fault is None:
        if drill.service not in live.running(plan):
            raise Pending(f"{drill.service} does not run")
        with live.suspended(plan, drill.service):
            yield
        return
    url = _url(plan, drill.service, "/_sim/fault")
    try:
        _insist(url, {"fault": drill.fault, "value": drill.value, "seconds": longest})
        yield
    finally:
        _insist(url, {"fault": drill.fault, "value": 0})


@contextmanager
def loaded(plan: Plan, per_second: float) -> Iterator[None]:
    """So many requests a second of every simulated system, or more where it has more, for the length of a block."""
    urls = [_url(plan, process.service, "/_sim/rate") for process in _simulated(plan) if process.drives]
    before = {url: float(get(url).json()["per_second"]) for url in urls}
    lower = {url: rate for url, rate in before.items() if rate < per_second}
    try:
        for url in lower:
            _insist(url, {"per_second": per_second})
        yield
    finally:
        for url, rate in lower.items():
            _insist(url, {"per_second": rate})


def _simulated(plan: Plan) -> Sequence[Process]:
    systems = plan.settings.systems
    return [process for profile in plan.profiles if systems[profile.system].workload for process in profile.workload]


def _url(plan: Plan, name: str, path: str) -> str:
    """Of a process of the simulation; its switches are on its first port."""
    service = plan.find(name)
    if service is None:
        raise Pending(f"{name} does not run in this environment")
    return plan.url(service, Endpoint(port=service.ports[0].name, path=path))


def _insist(url: str, body: object) -> None:
    retrying = Retrying(
        stop=stop_after_delay(_PATIENCE), wait=wait_fixed(0.5), retry=retry_if_exception_type(Pending), reraise=True
    )
    retrying(post, url, body)
