"""A process of a simulated system, in place of the real one."""

from collections.abc import Collection, Iterator

from apps import Process, Profile
from stacks.service import Endpoint, Ground, Port, SecretFile, Service, Volume

# Requests a second of the process that drives its system.
RATE = 20
_VOLUME = 64 * 2**20


def service(
    ground: Ground,
    process: Process,
    profile: Profile,
    otlp: str | None,
    generated: Collection[str],
    taken: Collection[str],
) -> Service:
    """Runs `workloads/<program>` of a system. Traces go to the URL `otlp`; the ports named in `taken` others serve."""
    ports = {name: number for name, number in process.ports.items() if name not in taken}
    first = next(iter(ports))
    return Service(
        name=process.service,
        product="python",
        program=f"workloads.{process.program}",
        args=tuple(_arguments(ground, process, ports, otlp)),
        ports=tuple(Port(name=name, number=number) for name, number in ports.items()),
        secrets=tuple(
            SecretFile(path=f"secrets/{name}", secret=name, generated=name in generated) for name in process.secrets
        ),
        volumes=(Volume(path="data", size=_VOLUME),) if process.data == "data" else (),
        ready=Endpoint(port=first, path=process.ready),
        page=Endpoint(port=first, path="/_sim/faults") if process.faults else None,
        aliases=tuple(alias for alias in process.aliases if alias not in taken),
        system=profile.system,
        scraped=_scraped(process, profile),
        borrows=_borrowed(process.data),
    )


def _scraped(process: Process, profile: Profile) -> Endpoint | None:
    """Where who finds it in a cluster asks for its metrics."""
    return next(
        (
            Endpoint(port=name, path=job.path)
            for job in profile.jobs
            for target in job.targets
            for name, number in process.ports.items()
            if job.found == "pods" and (target.service, target.port) == (process.service, number)
        ),
        None,
    )


def _borrowed(data: str) -> tuple[tuple[str, str], ...]:
    """The volume of another process where the data is, as `../other/data` from this one's directory."""
    if data == "data":
        return ()
    _, owner, path = data.split("/", 2)
    return ((owner, path),)


def _arguments(ground: Ground, process: Process, ports: dict[str, int], otlp: str | None) -> Iterator[str]:
    for name, number in ports.items():
        yield from ("--listen", f"{name}={ground.listen(number)}")
    for peer, number in process.peers.items():
        yield from ("--peer", f"{peer}={ground.url(peer, number)}")
    if not ground.contained:
        yield from ("--log-file", "log/app.log")
    yield from ("--seed", "1")
    if otlp:
        yield from ("--otlp", otlp)
    if process.drives:
        yield from ("--rate", str(RATE))
    if process.data != "data":
        yield from ("--data", process.data)
