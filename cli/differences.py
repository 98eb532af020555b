"""Where an environment is not what its code says: resources, files, loaded configuration and rules, dashboards."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser
import yaml

from cli import dashboards
from cli.ask import Pending, get
from stacks.plan import Plan
from stacks.service import Endpoint, Service
from stacks.services import alertmanager, grafana, prometheus
from stacks.strict import Refused
from stacks.targets import live
from stacks.units import seconds, size_bytes
from toolchain import pulumi

ROOT = Path(__file__).resolve().parents[1]

PARTS = ("resources", "services", "files", "prometheus", "alertmanager", "dashboards")

# What Prometheus takes from its configuration and has no default for: where the code says none, there is none.
_SECTIONS = (
    "alerting",
    "remote_read",
    "remote_write",
    "rule_files",
    "scrape_config_files",
    "scrape_configs",
    "tracing",
)
_HIDDEN = "<secret>"
# What a path of the file has before it, and the loaded one has not, which counts from another directory.
_ABOVE = re.compile(r"^(\.\./)+")
_SIZE = re.compile(r"(\d+)([KMGTPE]?i?)B")


@dataclass(frozen=True, kw_only=True)
class Drift:
    """One difference: in which of PARTS, of what, and how."""

    part: str
    what: str
    detail: str


def find(plan: Plan, config: Sequence[str]) -> Iterator[Drift]:
    """All of them, part after part. Refused where nobody can tell, such as of an environment that is not up."""
    yield from _resources(plan.settings.environment, config)
    up = live.running(plan)
    yield from (
        Drift(part="services", what=service.name, detail="does not run")
        for service in plan.services
        if service.name not in up
    )
    yield from (drift for service in plan.services if service.name in up for drift in _files(plan, service))
    reached = live.reached(plan)
    for service in reached.replicas(prometheus.NAME):
        if service.name in up:
            yield from _answered("prometheus", service, lambda each: _prometheus(reached, each))
    for service in reached.replicas(alertmanager.NAME):
        if service.name in up:
            yield from _answered("alertmanager", service, lambda each: _alertmanager(reached, each))
    if plan.find(grafana.NAME) and grafana.NAME in up:
        yield from _dashboards(reached)


def _answered(part: str, service: Service, look: Callable[[Service], list[Drift]]) -> Iterator[Drift]:
    try:
        yield from look(service)
    except Pending as pending:
        yield Drift(part=part, what=service.name, detail=f"does not say what it runs with: {pending}")


def _resources(environment: str, config: Sequence[str]) -> Iterator[Drift]:
    """What an update would do, by Pulumi's own preview, which looks at the machine, the engine or the cluster."""
    try:
        up = {stack["name"] for stack in pulumi.listed(pulumi.environment())}
    except pulumi.StackRefused as refused:
        raise Refused(str(refused)) from None
    if environment not in up:
        raise Refused(f"environment {environment} is not up: there is no state of it; make up ENV={environment}")
    given = [word for change in config for word in ("-c", change if ":" in change else f"watchstack:{change}")]
    words = ["-m", "toolchain.pulumi", environment, "--", "preview", "--json", "--refresh", *given]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(f"the resources cannot be compared:\n{_reason(done.stdout, done.stderr)}")
    for step in json.loads(done.stdout[done.stdout.index("{") :])["steps"]:
        if step["op"] not in ("same", "read", "refresh"):
            yield Drift(part="resources", what=_named(step["urn"]), detail=step["op"])


def _named(urn: str) -> str:
    """A resource by the last part of its type and its name: `Service loki`."""
    kind, _, name = urn.rpartition("::")
    return f"{kind.rpartition(':')[2]} {name}"


def _reason(out: str, err: str) -> str:
    said = json.loads(out[out.index("{") :]).get("diagnostics", []) if "{" in out else []
    lines = [each["message"].strip() for each in said if each.get("severity") == "error"]
    return "\n".join(lines) or err.strip()


def _files(plan: Plan, service: Service) -> Iterator[Drift]:
    """Content in place against the Plan. Of secrets, whose values a Plan need not have, only that they are there."""
    wanted = {file.path: file.text for file in service.files}
    there = live.files(plan, service, [*wanted, *(secret.path for secret in service.secrets)])
    if there is None:
        return
    for path, text in wanted.items():
        if there.get(path) is None:
            yield Drift(part="files", what=f"{service.name}/{path}", detail="is gone")
        elif there[path] != text:
            yield Drift(part="files", what=f"{service.name}/{path}", detail="was edited")
    for secret in service.secrets:
        if there.get(secret.path) is None:
            yield Drift(part="files", what=f"{service.name}/{secret.path}", detail="is gone")
    for path in sorted(there.keys() - wanted.keys() - {secret.path for secret in service.secrets}):
        yield Drift(part="files", what=f"{service.name}/{path}", detail="is nobody's")


def _prometheus(plan: Plan, service: Service) -> list[Drift]:
    """Its configuration and its rules as it has loaded them."""
    files = {file.path: file.text for file in service.files}
    wanted = yaml.load(files["etc/prometheus.yml"], Loader=yaml.CSafeLoader)
    loaded = yaml.safe_load(_api(plan, service, "/api/v1/status/config")["data"]["yaml"])
    found = [*_below("", wanted, loaded)]
    found += [(key, "is only loaded") for key in _SECTIONS if key in loaded and key not in wanted]
    rules = {path: text for path, text in files.items() if path.startswith(f"{prometheus.RULES}/")}
    found += _rules(rules, _api(plan, service, "/api/v1/rules")["data"]["groups"])
    return [Drift(part="prometheus", what=f"{service.name}: {what}", detail=detail) for what, detail in found]


def _alertmanager(plan: Plan, service: Service) -> list[Drift]:
    """Its configuration as it has loaded it; it hides what is secret."""
    text = next(file.text for file in service.files if file.path == "etc/alertmanager.yml")
    loaded = yaml.safe_load(_api(plan, service, "/api/v2/status")["config"]["original"])
    found = _below("", yaml.load(text, Loader=yaml.CSafeLoader), loaded)
    return [Drift(part="alertmanager", what=f"{service.name}: {what}", detail=detail) for what, detail in found]


def _api(plan: Plan, service: Service, path: str) -> Any:
    return get(plan.url(service, Endpoint(port="http", path=path))).json()


def _below(path: str, ours: Any, theirs: Any) -> Iterator[tuple[str, str]]:
    """Where another value is loaded than the file says. What only the loaded one has is a default."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            yield from _below(f"{path}.{key}" if path else str(key), value, theirs.get(key))
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (value, other) in enumerate(zip(_sorted(ours), _sorted(theirs), strict=True)):
            yield from _below(f"{path}.{_called(index, value)}", value, other)
    elif isinstance(ours, list) and isinstance(theirs, list):
        yield path, f"the file has {len(ours)}, {len(theirs)} are loaded"
    elif not _same(ours, theirs):
        yield path, f"the file says {ours!r}, loaded is {theirs!r}"


def _sorted(values: list[Any]) -> list[Any]:
    """Alertmanager sorts matchers; no list of texts of either program depends on its order."""
    return sorted(values) if all(isinstance(value, str) for value in values) else values


def _called(index: int, value: Any) -> str:
    """An item of a list by its name, where it has one."""
    named = value if isinstance(value, dict) else {}
    return str(named.get("job_name") or named.get("name") or named.get("receiver") or index)


def _same(ours: Any, theirs: Any) -> bool:
    """As a program writes it out: units that say the same, paths made absolute, secrets hidden, defaults left out."""
    if ours == theirs or theirs == _HIDDEN:
        return True
    if theirs is None:
        return not ours
    if not isinstance(ours, str) or not isinstance(theirs, str):
        return str(ours) == str(theirs)
    return (
        f"/{theirs}".endswith(f"/{_ABOVE.sub('', ours)}")
        or _units(ours) == _units(theirs)
        or _promql(ours) == _promql(theirs)
    )


def _units(text: str) -> object:
    """Seconds, or bytes; Prometheus writes 60s as 1m, and 1638MB as 1GiB614MiB."""
    for read in (seconds, _bytes):
        try:
            return read(text)
        except ValueError:
            continue
    return text


def _bytes(text: str) -> int:
    parts = _SIZE.findall(text)
    if not parts or "".join(number + unit + "B" for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no size")
    return sum(size_bytes(f"{number}{unit.removesuffix('i')}B") for number, unit in parts)


def _promql(text: str) -> str:
    try:
        return promql_parser.parse(text).prettify()
    except ValueError:
        return text


def _rules(files: Mapping[str, str], groups: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """Rules by file and group, each with all that decides about it."""
    wanted = dict(_written(files))
    loaded = {(group["file"], group["name"]): [_loaded(rule) for rule in group["rules"]] for group in groups}
    by_name = {(_below_rules(file), name): rules for (file, name), rules in loaded.items()}
    for key in sorted(wanted.keys() | by_name.keys()):
        ours, theirs = wanted.get(key, []), by_name.get(key, [])
        for name in sorted({rule[0] for rule in [*ours, *theirs]}):
            mine = [rule for rule in ours if rule[0] == name]
            other = [rule for rule in theirs if rule[0] == name]
            if mine != other:
                how = "is not loaded" if not other else "is only loaded" if not mine else "is loaded in another form"
                yield f"rule {key[0]}: {name}", how


def _below_rules(file: str) -> str:
    return file.rpartition(f"{prometheus.RULES}/")[2]


_Rule = tuple[str, str, float, dict[str, str], dict[str, str]]


def _written(files: Mapping[str, str]) -> Iterator[tuple[tuple[str, str], list[_Rule]]]:
    for path, text in files.items():
        for group in yaml.load(text, Loader=yaml.CSafeLoader)["groups"]:
            yield (_below_rules(path), group["name"]), [_rule(each) for each in group["rules"]]


def _rule(rule: Mapping[str, Any]) -> _Rule:
    name = rule.get("alert") or rule["record"]
    labels = {key: str(value) for key, value in (rule.get("labels") or {}).items()}
    return name, _promql(str(rule["expr"])), seconds(rule.get("for", "0s")), labels, rule.get("annotations") or {}


def _loaded(rule: Mapping[str, Any]) -> _Rule:
    labels, annotations = rule.get("labels") or {}, rule.get("annotations") or {}
    return rule["name"], _promql(rule["query"]), float(rule.get("duration", 0)), labels, annotations


def _dashboards(plan: Plan) -> Iterator[Drift]:
    with dashboards.client(plan) as client:
        for change in dashboards.changes(plan, client):
            where = f"{change.dashboard}/{change.panel}" if change.panel else change.dashboard
            yield Drift(part="dashboards", what=where, detail=f"{change.change} {change.what}".strip())
