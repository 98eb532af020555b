"""Images with the official names, tags, users, paths and entry points, from the programs of this machine.

Made by hand, layer by layer, so that the same programs make the same digests; layers are kept in the cache that clones
share. Where this machine has another version of a program than the table, the tag is the table's.
There is none of Grafana: without its release there is no program to put into it.
"""

import hashlib
import importlib.metadata
import io
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import httpx
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import workloads
from stacks.images import of_programs
from stacks.images import programs as sources_of_programs
from stacks.strict import nearest
from standins import demand
from toolchain import programs
from toolchain.versions import table, this_platform

NOBODY = 65534
# What a cluster has of itself.
OF_CLUSTERS = ("coredns", "pause")
# What few environments have, and takes minutes to build.
LONG_TERM = ("thanos",)

_ROOT = Path(workloads.__file__).parents[1]
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Parts of Python that no server imports, some of them large.
_UNUSED = re.compile(r"(.*/)?(tests?|idlelib|tkinter|turtledemo|lib2to3|ensurepip|config-3[^/]*)/.*")
_UNUSED_FILES = re.compile(r"lib-dynload/(_test|_tkinter|_ctypes_test|_?xx).*|.*\.opt-\d\.pyc")
_CHUNK = 2**20
_SECONDS_KEPT = 30 * 86400


class ImageFailed(Exception):
    """An image cannot be made here, or the registry does not take it."""


@dataclass(frozen=True)
class File:
    """A file of a layer: one of this machine, or a text."""

    source: Path | str
    mode: int = 0o644
    # Python takes byte-code only beside a source with the time that it was compiled at.
    keeps_time: bool = False


@dataclass(frozen=True)
class Link:
    """A symbolic link of a layer."""

    target: str


@dataclass(frozen=True)
class Folder:
    """A folder of a layer with an owner or a mode of its own."""

    owner: int = 0
    mode: int = 0o755


Entry = File | Link | Folder
Layer = Mapping[str, Entry]

_TEMPORARY: Layer = {"/tmp": Folder(mode=0o1777)}  # noqa: S108 - of images


@dataclass(frozen=True)
class Image:
    """Layers from the lowest to the highest, and what the configuration says beside them."""

    layers: Sequence[Layer]
    config: Mapping[str, Any] = field(default_factory=dict)


def names() -> list[str]:
    """The official references of the images that environments are made of, but those of long-term storage."""
    others = {official(name) for name in (*OF_CLUSTERS, *LONG_TERM)} | {ours()}
    return [reference for reference in _recipes() if reference not in others]


def ours() -> str:
    """The reference of the image of this repository's own programs, which workloads/Dockerfile makes elsewhere."""
    return f"docker.io/{of_programs()}"


def push(registry: str, only: Iterable[str] = (), login: tuple[str, str] | None = None) -> dict[str, str]:
    """Make images and push them to the registry at HOST:PORT: those of environments, or these official references.

    Returns official reference -> digest. `docker.io/prom/prometheus:v3.15.0` is there as
    `HOST:PORT/prom/prometheus:v3.15.0`. `login` is the registry's user and password.
    """
    recipes = _recipes()
    wanted = list(only) or names()
    for reference in wanted:
        if reference not in recipes:
            raise ImageFailed(f"{reference} has no stand-in; {nearest(reference, list(recipes))}")
    # Not in the pool: an install minds signals, which only the main thread can.
    asked = {name: product for name, product in table().items() if product.image in wanted}
    demand.require([name for name, product in asked.items() if product.on_demand and product.build])
    with (
        httpx.Client(base_url=f"http://{registry}/v2/", auth=login, timeout=120, trust_env=False) as client,
        ThreadPoolExecutor(2) as pool,
    ):
        digests = list(pool.map(lambda reference: _push(client, reference, recipes[reference]()), wanted))
    _forget_old_layers()
    return dict(zip(wanted, digests, strict=True))


def local(registry: str, reference: str) -> str:
    """The name that an official reference has in the registry."""
    return f"{registry}/{reference.partition('/')[2]}"


def official(product: str) -> str:
    """The reference of a product's image in toolchain/versions.yaml."""
    return table()[product].image or product


def _recipes() -> dict[str, Callable[[], Image]]:
    products = {
        "busybox": _plain_busybox,
        "python": _python,
        "kube-state-metrics": _kube_state_metrics,
        "prometheus": _prometheus,
        "alertmanager": _alertmanager,
        "node_exporter": _node_exporter,
        "loki": _loki,
        "otelcol": _otelcol,
        "jaeger": _jaeger,
        "postgres_exporter": _postgres_exporter,
        "redis_exporter": _redis_exporter,
        "cadvisor": _cadvisor,
        "caddy": _caddy,
        "thanos": _thanos,
        "coredns": _coredns,
        "pause": _pause,
    }
    return {**{official(name): image for name, image in products.items()}, ours(): _ours}


# The images, with what their own Dockerfiles say.


def _plain_busybox() -> Image:
    return Image([_busybox()], {"Cmd": ["sh"]})


def _prometheus() -> Image:
    files = {
        **_program("prometheus", "/bin/prometheus"),
        **_program("promtool", "/bin/promtool"),
        "/etc/prometheus/prometheus.yml": File("global: {}\n"),
        "/prometheus": Folder(NOBODY),
    }
    config = {
        "User": "nobody",
        "WorkingDir": "/prometheus",
        "Volumes": {"/prometheus": {}},
        "ExposedPorts": {"9090/tcp": {}},
        "Entrypoint": ["/bin/prometheus"],
        "Cmd": ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"],
    }
    return Image([_busybox(), files], config)


def _alertmanager() -> Image:
    files = {
        **_program("alertmanager", "/bin/alertmanager"),
        **_program("amtool", "/bin/amtool"),
        "/etc/alertmanager/alertmanager.yml": File("route: {receiver: none}\nreceivers: [{name: none}]\n"),
        "/alertmanager": Folder(NOBODY),
    }
    config = {
        "User": "nobody",
        "WorkingDir": "/alertmanager",
        "Volumes": {"/alertmanager": {}},
        "ExposedPorts": {"9093/tcp": {}},
        "Entrypoint": ["/bin/alertmanager"],
        "Cmd": ["--config.file=/etc/alertmanager/alertmanager.yml", "--storage.path=/alertmanager"],
    }
    return Image([_busybox(), files], config)


def _node_exporter() -> Image:
    config = {"User": "nobody", "ExposedPorts": {"9100/tcp": {}}, "Entrypoint": ["/bin/node_exporter"]}
    return Image([_busybox(), _program("node_exporter", "/bin/node_exporter")], config)


def _postgres_exporter() -> Image:
    config = {"User": "nobody", "ExposedPorts": {"9187/tcp": {}}, "Entrypoint": ["/bin/postgres_exporter"]}
    return Image([_busybox(), _program("postgres_exporter", "/bin/postgres_exporter")], config)


def _redis_exporter() -> Image:
    config = {"User": "59000:59000", "ExposedPorts": {"9121/tcp": {}}, "Entrypoint": ["/redis_exporter"]}
    return Image([_program("redis_exporter", "/redis_exporter")], config)


def _loki() -> Image:
    """Without a shell."""
    files = {**_program("loki", "/usr/bin/loki"), "/loki": Folder(10001), **_TEMPORARY}
    config = {
        "User": "10001",
        "ExposedPorts": {"3100/tcp": {}},
        "Entrypoint": ["/usr/bin/loki"],
        "Cmd": ["-config.file=/etc/loki/local-config.yaml"],
    }
    return Image([files], config)


def _otelcol() -> Image:
    """Nothing but the program."""
    config = {
        "User": "10001",
        "ExposedPorts": {"4317/tcp": {}, "4318/tcp": {}, "55679/tcp": {}},
        "Entrypoint": ["/otelcol-contrib"],
        "Cmd": ["--config", "/etc/otelcol-contrib/config.yaml"],
    }
    return Image([_program("otelcol", "/otelcol-contrib")], config)


def _jaeger() -> Image:
    """The official one has a shell, which nobody promises."""
    files = {**_program("jaeger", "/cmd/jaeger/jaeger-linux"), **_TEMPORARY}
    ports = (4317, 4318, 5778, 5779, 9411, 13132, 13133, 14250, 14268, 16686)
    config = {
        "User": "10001",
        "Env": [_PATH, "JAEGER_LISTEN_HOST=0.0.0.0"],
        "Volumes": {folder: {} for folder in _TEMPORARY},
        "ExposedPorts": {f"{port}/tcp": {} for port in ports},
        "Entrypoint": ["/cmd/jaeger/jaeger-linux"],
    }
    return Image([files], config)


def _caddy() -> Image:
    config = {"WorkingDir": "/srv", "ExposedPorts": {"443/tcp": {}}, "Cmd": ["caddy", "run"]}
    return Image([_busybox(), _program("caddy", "/usr/bin/caddy")], config)


def _thanos() -> Image:
    config = {"User": "1001", "Entrypoint": ["/bin/thanos"]}
    return Image([_busybox(), _program("thanos", "/bin/thanos")], config)


def _coredns() -> Image:
    ports: dict[str, Any] = {"53/tcp": {}, "53/udp": {}}
    config = {"User": "65532", "WorkingDir": "/", "ExposedPorts": ports, "Entrypoint": ["/coredns"]}
    return Image([_program("coredns", "/coredns")], config)


def _pause() -> Image:
    return Image([_program("pause", "/pause")], {"User": "65535:65535", "Entrypoint": ["/pause"]})


def _cadvisor() -> Image:
    asks = 'port=$(tr "\\0" "\\n" </proc/1/cmdline | sed -n "s/^--*port=//p")\n'
    files = {
        **_program("cadvisor", "/usr/bin/cadvisor"),
        "/usr/bin/entrypoint.sh": File('#!/bin/sh\nexec /usr/bin/cadvisor -logtostderr "$@"\n', 0o755),
        "/usr/bin/healthcheck.sh": File(
            f'#!/bin/sh\n{asks}exec wget -q --spider "http://localhost:${{port:-8080}}/healthz"\n', 0o755
        ),
    }
    second = 10**9
    health = {"Test": ["CMD-SHELL", "/usr/bin/healthcheck.sh"], "Interval": 30 * second, "Timeout": 3 * second}
    config = {
        "ExposedPorts": {"8080/tcp": {}},
        "Healthcheck": health | {"StartPeriod": 5 * second},
        "Entrypoint": ["/usr/bin/entrypoint.sh"],
    }
    return Image([_busybox(), files], config)


def _python() -> Image:
    """This interpreter, and what `workloads` and `instrument` import: `pip install` of those finds them there."""
    config = {"Env": [_PATH, "LANG=C.UTF-8"], "Cmd": ["python3"]}
    return Image([_busybox(), _interpreter(), _packages()], config)


def _ours() -> Image:
    """The one of Python, with `instrument` and `workloads` over it."""
    place = "/opt/watchstack"
    sources = {f"{place}/{path.relative_to(_ROOT)}": File(path) for path in sources_of_programs()}
    env = [_PATH, "LANG=C.UTF-8", f"PYTHONPATH={place}", "PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1"]
    config = {"Env": env, "User": f"{NOBODY}:{NOBODY}", "WorkingDir": place, "Entrypoint": ["python3", "-m"]}
    return Image([*_python().layers, sources], config)


def _kube_state_metrics() -> Image:
    """Without a shell, and with this interpreter in place of the program, which nobody can have here."""
    program = Path(__file__).with_name("kube_state_metrics.py").read_text()
    files = {
        "/kube-state-metrics": File(f"#!/usr/local/bin/python3 -I\n{program}", 0o755),
        "/etc/passwd": File(f"root:x:0:0::/root:/bin/false\nnobody:x:{NOBODY}:{NOBODY}::/home:/bin/false\n"),
    }
    config = {
        "User": "nobody",
        "ExposedPorts": {"8080/tcp": {}, "8081/tcp": {}},
        "Entrypoint": ["/kube-state-metrics", "--port=8080", "--telemetry-port=8081"],
    }
    return Image([_interpreter(), files], config)


# The layers.


def _busybox() -> Layer:
    """A shell and the usual commands. Debian's `wget` knows no -T, and crashes when it is given."""
    busybox = Path(_found("busybox", "busybox-static"))
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    return {
        "/bin/busybox": File(busybox, 0o755),
        **{f"/bin/{name}": Link("busybox") for name in applets if name != "busybox"},
        **_libraries([busybox]),
        "/etc/group": File(f"root:x:0:\nnobody:x:{NOBODY}:\n"),
        "/etc/passwd": File(f"root:x:0:0::/root:/bin/sh\nnobody:x:{NOBODY}:{NOBODY}::/home:/bin/false\n"),
        "/home": Folder(NOBODY),
        "/root": Folder(mode=0o700),
        **_TEMPORARY,
    }


def _program(name: str, place: str) -> Layer:
    path = programs.program(name)
    return {place: File(path, 0o755), **_libraries([path])}


def _interpreter() -> Layer:
    executable, version = Path(sys.executable).resolve(), f"python{sysconfig.get_python_version()}"
    library = Path(sysconfig.get_path("stdlib"))
    files = [file for file in _used(library) if not file.is_relative_to(library / "site-packages")]
    modules = [file for file in files if file.suffix == ".so"]
    return {
        f"/usr/local/bin/{version}": File(executable, 0o755),
        "/usr/local/bin/python3": Link(version),
        "/usr/local/bin/python": Link(version),
        "/usr/local/bin/pip": File('#!/bin/sh\nexec /usr/local/bin/python3 -m pip "$@"\n', 0o755),
        **{f"/usr/local/lib/{version}/{file.relative_to(library)}": _timed(file) for file in files},
        **_libraries([executable, *modules]),
    }


def _used(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")):
        name = str(file.relative_to(folder))
        if file.is_file() and not _UNUSED.fullmatch(name) and not _UNUSED_FILES.fullmatch(name):
            yield file


def _packages() -> Layer:
    """pip, the packages that `workloads` and `instrument` import, and what those require, as installed here."""
    layer: dict[str, Entry] = {}
    version = f"python{sysconfig.get_python_version()}"
    for name in sorted(_required({"pip", *_imported()})):
        distribution = importlib.metadata.distribution(name)
        for each in distribution.files or ():
            source = Path(str(distribution.locate_file(each)))
            # Programs of packages are above the packages, and start this machine's Python.
            if each.parts[0] != ".." and source.is_file():
                layer[f"/usr/local/lib/{version}/site-packages/{each}"] = _timed(source)
    return layer | dict(_libraries(source for source in _sources(layer) if ".so" in source.suffixes))


def _sources(layer: Layer) -> list[Path]:
    files = [each.source for each in layer.values() if isinstance(each, File)]
    return [source for source in files if isinstance(source, Path)]


def _timed(file: Path) -> File:
    return File(file, 0o755 if os.access(file, os.X_OK) else 0o644, keeps_time=True)


def _imported() -> set[str]:
    """Of what requirements.txt pins, the distributions that `workloads` or `instrument` imports a module of."""
    brought_by = importlib.metadata.packages_distributions()
    sources = [file.read_text() for folder in ("workloads", "instrument") for file in (_ROOT / folder).rglob("*.py")]
    modules = {name for source in sources for name in re.findall(r"^\s*(?:import|from) (\w+)", source, re.MULTILINE)}
    imported = {canonicalize_name(name) for module in modules for name in brought_by.get(module, ())}
    lines = (_ROOT / "requirements.txt").read_text().splitlines()
    pinned = {Requirement(line).name for line in lines if line and not line.startswith("#")}
    return {name for name in pinned if canonicalize_name(name) in imported}


def _required(names: set[str]) -> set[str]:
    """The distributions and, again and again, what they require on this machine."""
    wanted, known = {canonicalize_name(name) for name in names}, set[str]()
    while unread := wanted - known:
        known |= unread
        needs = [Requirement(each) for name in unread for each in importlib.metadata.requires(name) or ()]
        asked = [each for each in needs if each.marker is None or each.marker.evaluate({"extra": ""})]
        wanted = wanted | {canonicalize_name(each.name) for each in asked}
    return known


def _libraries(files: Iterable[Path]) -> Layer:
    """The shared libraries that programs need, where the loader looks; nothing for static programs."""
    said = subprocess.run([_found("ldd", "libc-bin"), *files], capture_output=True, text=True, check=False).stdout
    found = sorted({Path(path) for path in re.findall(r"(?:=> |^\t)(/\S+) \(0x", said, re.MULTILINE)})
    loaders = [path for path in found if path.name.startswith("ld-linux")]
    libc = next((path.parent for path in found if path.name == "libc.so.6"), None)
    others = {f"{libc}/{path.name}": File(path.resolve(), 0o755) for path in found if path not in loaders}
    return {**{str(path): File(path.resolve(), 0o755) for path in loaders}, **others}


def _found(program: str, package: str) -> str:
    if path := shutil.which(program):
        return path
    raise programs.ProgramMissing(f"{program} is not installed; install Debian's {package}")


# From layers to the registry.


def _push(client: httpx.Client, reference: str, image: Image) -> str:
    name, _, tag = reference.partition("/")[2].rpartition(":")
    layers = [_tar(layer) for layer in image.layers]
    for digest, tar in layers:
        _upload(client, name, digest, tar)
    config = _json(_configuration(image, [digest for digest, _ in layers]))
    _upload(client, name, _sha256([config]), config)
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": {"mediaType": _CONFIG, "size": len(config), "digest": _sha256([config])},
            "layers": [{"mediaType": _LAYER, "size": tar.stat().st_size, "digest": digest} for digest, tar in layers],
        }
    )
    _taken(client.put(f"{name}/manifests/{tag}", content=manifest, headers={"Content-Type": _MANIFEST}))
    return _sha256([manifest])


def _configuration(image: Image, layers: list[str]) -> dict[str, Any]:
    system, architecture = this_platform()
    return {
        "created": "1970-01-01T00:00:00Z",
        "os": system,
        "architecture": architecture,
        "config": {"Env": [_PATH], **image.config},
        "rootfs": {"type": "layers", "diff_ids": layers},
    }


def _upload(client: httpx.Client, name: str, digest: str, content: bytes | Path) -> None:
    if client.head(f"{name}/blobs/{digest}").status_code == httpx.codes.OK:
        return
    place = httpx.URL(_taken(client.post(f"{name}/blobs/uploads/")).headers["Location"])
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
    body = content if isinstance(content, bytes) else _chunks(content)
    _taken(client.put(place.copy_merge_params({"digest": digest}), content=body, headers=headers))


def _taken(answer: httpx.Response) -> httpx.Response:
    if not answer.is_success:
        said = f"{answer.status_code} {answer.text.strip()}"
        raise ImageFailed(f"{answer.request.method} {answer.request.url} was answered with {said}")
    return answer


def _tar(layer: Layer) -> tuple[str, Path]:
    """Digest and file of a layer: from the cache if its files are the same, by name, size and time."""
    key = _sha256([repr(_identity(layer)).encode()]).removeprefix("sha256:")[:16]
    folder = programs.cache() / "layers"
    for kept in folder.glob(f"{key}-*.tar"):
        kept.touch()
        return f"sha256:{kept.stem.partition('-')[2]}", kept
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix="unfinished-", delete=False) as new:
        _write(layer, new)
    digest = _sha256(_chunks(Path(new.name)))
    kept = folder / f"{key}-{digest.removeprefix('sha256:')}.tar"
    return digest, Path(new.name).rename(kept)


def _forget_old_layers() -> None:
    for tar in (programs.cache() / "layers").iterdir():
        if time.time() - tar.stat().st_mtime > _SECONDS_KEPT:
            tar.unlink(missing_ok=True)


def _identity(layer: Layer) -> list[object]:
    stats = {source: source.stat() for source in _sources(layer)}
    return [sorted(layer.items()), sorted((str(path), stat.st_size, stat.st_mtime_ns) for path, stat in stats.items())]


def _write(layer: Layer, to: IO[bytes]) -> None:
    """Sorted, of root unless said otherwise, and of no time: the same files make the same bytes."""
    folders = {str(parent): Folder() for name in layer for parent in Path(name).parents if str(parent) != "/"}
    with tarfile.open(fileobj=to, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, each in sorted((folders | dict(layer)).items()):
            entry = tarfile.TarInfo(name.removeprefix("/"))
            match each:
                case Folder(owner, mode):
                    entry.type, entry.mode, entry.uid, entry.gid = tarfile.DIRTYPE, mode, owner, owner
                    tar.addfile(entry)
                case Link(target):
                    entry.type, entry.mode, entry.linkname = tarfile.SYMTYPE, 0o777, target
                    tar.addfile(entry)
                case File(source, mode, keeps_time):
                    entry.mode = mode
                    if isinstance(source, str):
                        entry.size = len(source.encode())
                        tar.addfile(entry, io.BytesIO(source.encode()))
                    else:
                        entry.size = source.stat().st_size
                        entry.mtime = int(source.stat().st_mtime) if keeps_time else 0
                        with source.open("rb") as content:
                            tar.addfile(entry, content)


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as content:
        while chunk := content.read(_CHUNK):
            yield chunk


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _sha256(chunks: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"
