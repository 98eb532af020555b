"""How a service is put in a container, whatever makes it: names, labels, paths, arguments and health checks."""

import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from string import Template

from stacks import images
from stacks.names import PARTS
from stacks.plan import Plan
from stacks.service import ENVIRONMENT, KIND, SERVICE, SYSTEM, Endpoint, File, Service, machine_name

_HERE = Path(__file__).parent
# The product of programs of this repository, whose image is built on the one of that name.
PROGRAMS = "python"
# The product whose image is a shell.
SHELL = "busybox"

# Above the directories of services, which stand beside each other as on `local`.
HOME = "/watchstack"
# Which of the containers of a service it is, where it is not the service itself.
PART = "watchstack.part"
LOADER, LOCKSMITH, SETTLER = PARTS
# What a one-shot container is made anew for: the id of the one before it, which failed.
RETRY = "watchstack.retry"
# What the engine writes beside each line of a container's output.
LOG_LABELS = (ENVIRONMENT, KIND, SERVICE, SYSTEM)

ANYWHERE = "0.0.0.0"  # noqa: S104 - inside a network of its own
ITSELF = "127.0.0.1"


def name(environment: str, what: str) -> str:
    """The fixed name of a container, volume or network."""
    return f"watchstack-{environment}-{what}"


def names(plan: Plan, machine: str = "") -> dict[str, set[str]]:
    """All names that an environment has on the engine of a machine, by the kind of what has them."""
    there = of_machine(plan, machine)
    own = {
        "container": [one for service in there for one in (service.name, *_parts(service, PARTS))],
        # The first machine has the secrets that are made: agents have none.
        "volume": [*([] if machine else ["generated"]), *(one for each in there for one in _parts(each, paths(each)))],
        "network": [called(side, machine) for side in ("back", "front")],
    }
    return {kind: {name(plan.settings.environment, each) for each in found} for kind, found in own.items()}


def called(what: str, machine: str) -> str:
    """What each engine of an environment has of its own: that of the first machine has the plain name."""
    return machine_name(what, machine) if machine else what


def of_machine(plan: Plan, machine: str) -> list[Service]:
    return [service for service in plan.services if service.machine == machine]


def paths(service: Service) -> list[str]:
    """The paths in a service's directory that volumes are at: of its files, its secrets and its data."""
    filled = {path for path, there in (("etc", service.files), ("secrets", service.secrets)) if there}
    return sorted(filled | {volume.path for volume in service.volumes})


def _parts(service: Service, parts: Iterable[str]) -> list[str]:
    return [f"{service.name}-{part}" for part in parts]


def labels(plan: Plan, service: Service) -> dict[str, str]:
    """Whose it is."""
    return {
        ENVIRONMENT: plan.settings.environment,
        KIND: service.kind,
        SERVICE: service.name,
        SYSTEM: service.system,
    }


def directory(service: str, path: str = "") -> str:
    """Where a path of a service is in every container that sees it."""
    return f"{HOME}/{service}/{path}".rstrip("/")


def user(service: Service) -> str:
    """uid:gid of the service's process: root only where that is what makes use of its capabilities."""
    privileged = service.host is not None and {*service.host.capabilities} - {"NET_BIND_SERVICE"}
    return "0:0" if privileged else images.container(service.product).user


def image(plan: Plan, service: Service) -> str:
    """The image by name: another one shows in the preview as what it is."""
    if service.product == PROGRAMS:
        return images.of_programs()
    return images.reference(service.product, plan.settings.registry)


def command(service: Service) -> list[str]:
    """The arguments to the image's entrypoint."""
    home = images.container(service.product).home
    args = [arg.replace("{home}", home) for arg in service.args]
    return [service.program, *args] if service.product == PROGRAMS else args


def health(service: Service, host: str) -> list[str]:
    """What asks in the container whether it is ready, at `host`; empty where the image has nothing to ask with."""
    words = {"PORT": str(service.port(service.ready.port)), "READY": inside(service, service.ready, host)}
    return [Template(word).substitute(words) for word in images.container(service.product).health]


def inside(service: Service, endpoint: Endpoint, host: str) -> str:
    """The URL of an endpoint, for who shares the service's network."""
    return f"http://{host}:{service.port(endpoint.port)}{endpoint.path}"


def restarting(service: Service) -> list[File]:
    """The files that a service takes only when it starts."""
    kinds = {"restart"} | ({"reload"} if service.reload is None else set())
    return [file for file in service.files if file.on_change in kinds]


def reloading(service: Service) -> list[File]:
    """The files that a running service takes when it is told."""
    return [file for file in service.files if service.reload is not None and file.on_change == "reload"]


def digest(files: Iterable[File]) -> str:
    """Another one for other files; empty for none."""
    texts = "\0".join(f"{file.path}\0{file.text}" for file in files)
    return hashlib.sha256(texts.encode()).hexdigest()[:16] if texts else ""


def bundle(volume: str, texts: Mapping[str, str]) -> str:
    """What goes into a volume as one text, by path in the service's directory, for the loader to take apart.

    Many uploads take the provider long, whatever their size. The digest before each text has a preview of an edit name
    the file.
    """
    return "".join(_bundled(path.removeprefix(f"{volume}/"), text) for path, text in sorted(texts.items()))


def _bundled(path: str, text: str) -> str:
    content = text.encode()
    return f"==> {len(content)} {hashlib.sha256(content).hexdigest()[:8]} {path}\n{text}\n"


@cache
def script(name: str) -> str:
    """One of the shell scripts here, without its comments: what is deployed holds it many times."""
    lines = (_HERE / name).read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join(line for line in lines if line.strip() and not line.lstrip().startswith("#"))


def protected(plan: Plan) -> bool:
    """Whether data is kept from a destroy, and from what was made to lock it."""
    return plan.settings.lifecycle == "durable" and not plan.settings.unlocked


def fate(plan: Plan) -> str:
    """What a destroy would do to the data: shown in every preview."""
    if plan.settings.lifecycle == "ephemeral":
        return "ephemeral: a destroy removes it"
    return "durable: a destroy is refused" if protected(plan) else "durable, and unlocked: a destroy removes it"


def products(services: Iterable[Service]) -> list[str]:
    """The products whose images these services run."""
    return sorted({service.product for service in services} | {SHELL})


def on_the_machine(plan: Plan) -> list[Service]:
    """The services that have the network of the first machine, and no name on any other."""
    return [service for service in of_machine(plan, "") if service.host and service.host.network]
