"""Who talks to whom: every address that stands in a service's arguments and files is a flow, and nothing else is."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from stacks.plan import Plan
from stacks.service import File, Service, in_url
from stacks.services import grafana, prometheus

# host:port, as `Ground.address` writes it.
_ADDRESS = re.compile(r"(?:[a-z0-9][a-z0-9.-]*|\[[0-9a-fA-F:]+\]):\d{2,5}\b")
# Files full of text for people and queries, in which addresses are no more than words.
_TEXTS = (prometheus.RULES, grafana.DASHBOARDS)


@dataclass(frozen=True, order=True, kw_only=True)
class Flow:
    """`source` connects to `port` of `target`: services by name."""

    source: str
    target: str
    port: int


def of(plan: Plan) -> tuple[Flow, ...]:
    """The flows between the services of an environment, and the scrapes of what is found in its cluster."""
    known = {
        plan.ground.replica(service.replica).address(name, port.number): (service.name, port.number)
        for service in plan.services
        for name in (service.name, *service.aliases)
        for port in service.ports
    }
    known |= {
        f"{in_url(opening.address)}:{opening.port}": (service.name, opening.inside)
        for service in plan.services
        for opening in plan.exposed(service)
    }
    found = {
        Flow(source=service.name, target=target, port=port)
        for service in plan.services
        for text in _texts(service)
        for target, port in (known[address] for address in _ADDRESS.findall(text) if address in known)
        if target != service.name
    }
    return tuple(sorted(found | {*_scrapes(plan)}))


def _scrapes(plan: Plan) -> Iterator[Flow]:
    """Of targets whose addresses are found, and stand nowhere."""
    each = {job.job: job for job in plan.jobs if job.found == "each"}
    for server in plan.replicas(prometheus.NAME):
        for service in plan.services:
            if service.kind in each and service.metrics:
                yield Flow(source=server.name, target=service.name, port=service.port(service.metrics.port))
            if service.scraped:
                yield Flow(source=server.name, target=service.name, port=service.port(service.scraped.port))


def _texts(service: Service) -> Iterator[str]:
    yield from service.args
    yield from (value for _, value in service.environment)
    yield from (file.text for file in service.files if not _is_text(file))


def _is_text(file: File) -> bool:
    return file.path.startswith(_TEXTS)
