"""Kubernetes objects before those by whom others judge theirs: kube-score, checkov and kubeconform.

Each is a function from objects to findings, and asks nobody outside this machine. What is as it must be stands in a
file of exceptions with its reason; `problems` is what is left.
"""

import fcntl
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from stacks.strict import Strict, in_file, load
from standins import demand
from toolchain import programs
from toolchain.versions import GO, table

Object = Mapping[str, Any]

EXCEPTIONS = Path(__file__).with_name("judges_exceptions.yaml")

_REQUIREMENTS = Path(__file__).with_name("checkov_requirements.txt")
_SECONDS = 300
# kube-score's grade of what it has nothing against.
_BEST = 10


class JudgeFailed(Exception):
    """A judge did not come to an end, so that nothing is known of the objects."""


@dataclass(frozen=True, kw_only=True, order=True)
class Finding:
    """What a judge has against an object, which is Kind/namespace/name, or against a container below it."""

    object: str
    check: str
    wrong: str

    def __str__(self) -> str:
        return f"{self.object}: {self.check}: {self.wrong}"


class Exempt(Strict):
    """Findings that are as they must be: of one check, and of the objects that the pattern names."""

    check: str = Field(min_length=1)
    object: str = Field(min_length=1)
    reason: str = Field(min_length=20)

    def covers(self, finding: Finding) -> bool:
        """Whether the finding is one of these."""
        return finding.check == self.check and fnmatchcase(finding.object, self.object)


class _File(Strict):
    exceptions: tuple[Exempt, ...]


def exceptions(path: Path = EXCEPTIONS) -> tuple[Exempt, ...]:
    """The exceptions of a file, which is refused if it is not well made."""
    return load(_File, yaml.safe_load(path.read_text(encoding="utf-8")), in_file(path.name, path)).exceptions


def problems(findings: Iterable[Finding], exempt: Sequence[Exempt]) -> list[str]:
    """Findings without an exception, and exceptions without a finding."""
    findings = tuple(findings)
    left = [str(finding) for finding in findings if not any(each.covers(finding) for each in exempt)]
    unused = [each for each in exempt if not any(each.covers(finding) for finding in findings)]
    return left + [f"exception for {each.object}, {each.check}: nothing is found that it excuses" for each in unused]


def kube_score(objects: Sequence[Object]) -> list[Finding]:
    """By its default checks, whatever annotations say. Its finest doubt counts."""
    demand.require(["kube-score"])
    arguments = ["score", "-", "--output-format=json", f"--kubernetes-version=v{_minor()}"]
    arguments += ["--disable-ignore-checks-annotations", "--disable-optional-checks-annotations"]
    said = _asked([programs.program("kube-score"), *arguments], yaml.safe_dump_all(map(dict, objects)))
    judged = [(_name(each, each["object_meta"]), check) for each in said for check in each["checks"]]
    return _sorted(
        Finding(check=f"kube-score/{check['check']['id']}", object=f"{name}{container}", wrong=wrong)
        for name, check in judged
        if check["grade"] < _BEST and not check["skipped"]
        for container, wrong in _comments(check)
    )


def _comments(check: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The containers that a check speaks of, with what it says; the whole object where it names none."""
    for comment in check["comments"] or [{"path": "", "summary": check["check"]["name"]}]:
        yield f"/{comment['path']}" if comment["path"] else "", comment["summary"]


def checkov(objects: Sequence[Object]) -> list[Finding]:
    """By its rules for Kubernetes, without those that it would fetch."""
    python = checkov_python()
    with tempfile.TemporaryDirectory() as folder:
        names = _written(objects, Path(folder) / "objects")
        arguments = ["--framework=kubernetes", "--output=json", "--compact", "--quiet", "--skip-download"]
        command: list[str | Path] = [python, "-m", "checkov.main", f"--directory={folder}/objects", *arguments]
        said = _asked(command, environment={"HOME": folder, "PATH": "/usr/bin:/bin"})
    # What it reads nothing of, it finds nothing in.
    summary = said.get("summary", said)
    if summary["parsing_errors"] or not summary["resource_count"]:
        raise JudgeFailed(f"checkov could not read all objects: {json.dumps(said)[:1000]}")
    return _sorted(
        Finding(
            check=f"checkov/{check['check_id']}",
            object=names[Path(check["file_path"]).name],
            wrong=check["check_name"],
        )
        for check in said["results"]["failed_checks"]
    )


def checkov_python() -> Path:
    """The Python of an environment that has checkov: from the cache, or made within a minute."""
    pins = _REQUIREMENTS.read_text(encoding="utf-8")
    version = next(line.partition("==")[2] for line in pins.splitlines() if line.startswith("checkov=="))
    digest = hashlib.sha256(f"{sys.version} {sys.base_prefix} {pins}".encode()).hexdigest()[:12]
    home = programs.cache() / f"checkov-{version}-{digest}"
    programs.cache().mkdir(parents=True, exist_ok=True)
    with (programs.cache() / "checkov.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.exists():
            with tempfile.TemporaryDirectory(dir=programs.cache(), prefix="unfinished-checkov-") as unfinished:
                _install(Path(unfinished) / "made").rename(home)
    return home / "bin" / "python"


def _install(into: Path) -> Path:
    _run([sys.executable, "-m", "venv", "--without-pip", into])
    options = ["--no-deps", "--only-binary=:all:", "--no-input", "--quiet", "--disable-pip-version-check"]
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", into / "bin" / "python", "install"]
    _run([*pip, *options, "--requirement", _REQUIREMENTS])
    return into


def kubeconform(objects: Sequence[Object]) -> list[Finding]:
    """By the schemas of the Kubernetes version that the toolchain pins, which know no other key than their own."""
    demand.require(["kubeconform"])
    with tempfile.TemporaryDirectory() as folder:
        names = _written(objects, Path(folder) / "objects")
        schemas = Path(folder) / "schemas"
        _schemas(objects, specification(), schemas)
        place = f"{schemas}/{{{{.Group}}}}_{{{{.ResourceAPIVersion}}}}_{{{{.ResourceKind}}}}.json"
        arguments = ["-strict", "-output=json", "-summary", f"-schema-location={place}", f"{folder}/objects"]
        said = _asked([programs.program("kubeconform"), *arguments])
    if sum(said["summary"].values()) != len(objects):
        raise JudgeFailed(f"kubeconform was given {len(objects)} objects, and speaks of {said['summary']}")
    return _sorted(
        Finding(check=f"kubeconform/{check}", object=names[Path(each["filename"]).name], wrong=wrong)
        for each in said["resources"]
        for check, wrong in _errors(each)
    )


def _errors(resource: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is not as the schema says; without a schema, that there is none."""
    if resource["status"] == "statusError":
        yield "schema", resource["msg"]
    for error in resource.get("validationErrors") or ():
        yield "invalid", f"{error['path'] or '/'}: {error['msg']}"


# Schemas, which kubeconform would fetch: made of the API's own description.


def specification() -> Path:
    """The description of the API in the Go module that the toolchain's Kubernetes is built of."""
    command: list[str | Path] = ["go", "mod", "download", "-json", "k8s.io/kubernetes"]
    module = json.loads(_run(command, cwd=GO / "kubernetes").stdout)
    return Path(module["Dir"]) / "api" / "openapi-spec" / "swagger.json"


def _schemas(objects: Iterable[Object], specification: Path, into: Path) -> None:
    """A file for each kind of object that is described. kubeconform takes the version as the group of what has none."""
    definitions = json.loads(specification.read_text(encoding="utf-8"))["definitions"]
    kinds = {
        (kind["group"], kind["version"], kind["kind"]): name
        for name, definition in definitions.items()
        for kind in definition.get("x-kubernetes-group-version-kind", ())
    }
    into.mkdir()
    for version, kind in {(each["apiVersion"], each["kind"]) for each in objects}:
        group, _, number = version.rpartition("/")
        if name := kinds.get((group, number, kind)):
            schema = _strict(definitions, name, ())
            (into / f"{group or number}_{number}_{kind.lower()}.json").write_text(json.dumps(schema))


def _strict(definitions: Mapping[str, Any], name: str, above: tuple[str, ...]) -> dict[str, Any]:
    """A definition without other keys than its own, and with those that it refers to in their places.

    kubeconform tells only of what is wrong before the first reference. Numbers are taken where the API takes them,
    which Swagger cannot say, and anything where a definition is within itself.
    """
    definition = definitions[name]
    if name in above:
        return {}
    if name.endswith(".Quantity") or definition.get("format") == "int-or-string":
        return {"type": ["string", "number"]}
    closed = {"additionalProperties": False} if "properties" in definition else {}
    return {**_expanded(definitions, definition, (*above, name)), **closed}


def _expanded(definitions: Mapping[str, Any], part: Any, above: tuple[str, ...]) -> Any:
    if isinstance(part, list):
        return [_expanded(definitions, each, above) for each in part]
    if not isinstance(part, dict):
        return part
    if isinstance(reference := part.get("$ref"), str):
        return _strict(definitions, reference.removeprefix("#/definitions/"), above)
    # A description is no help to a program, but may be the name of a property.
    return {key: _expanded(definitions, each, above) for key, each in part.items() if not _is_words(key, each)}


def _is_words(key: str, value: Any) -> bool:
    return key == "description" and isinstance(value, str)


# What judges have in common.


def _sorted(findings: Iterable[Finding]) -> list[Finding]:
    """The same for the same objects: judges work on several at once."""
    return sorted(set(findings))


def _minor() -> str:
    return table()["kubernetes"].version.rpartition(".")[0]


def _name(each: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> str:
    kind = (each.get("type_meta") or each)["kind"]
    metadata = each["metadata"] if metadata is None else metadata
    return "/".join(filter(None, (kind, metadata.get("namespace"), metadata["name"])))


def _written(objects: Sequence[Object], into: Path) -> dict[str, str]:
    """Each in a file of its own. Returns file name -> the object's."""
    into.mkdir()
    names = {}
    for number, each in enumerate(objects):
        file = into / f"{number:04}.yaml"
        file.write_text(yaml.safe_dump(dict(each)), encoding="utf-8")
        names[file.name] = _name(each)
    return names


def _asked(command: Sequence[str | Path], words: str = "", environment: Mapping[str, str] | None = None) -> Any:
    """What a judge says, as JSON. It ends with 1 if it has found something, and if it could not read."""
    done = _run(command, input=words, env=environment, good=(0, 1))
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError:
        raise JudgeFailed(f"{Path(command[0]).name}: {(done.stderr or done.stdout).strip()}") from None


def _run(
    command: Sequence[str | Path], *, good: Sequence[int] = (0,), **more: Any
) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False, **more)
    if done.returncode not in good:
        raise JudgeFailed(
            f"{Path(command[0]).name} ended with {done.returncode}: {(done.stderr or done.stdout)[-2000:]}"
        )
    return done
