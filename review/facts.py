"""What the environments of a source tree are, as plain JSON that another revision can read.

`python review/facts.py [ENV ...]` prints it, made by the code of the directory that it is called in. So it imports
nothing of `review`, and works in a revision that lacks it.
"""

import gc
import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import rules
from catalogue import exposed
from rules import Alert
from stacks import packs, plan, routes, settings
from stacks.plan import Plan
from stacks.routes import Node
from stacks.service import Service
from stacks.services import alertmanager, loki, prometheus
from stacks.settings import Secret, Settings
from stacks.strict import Refused
from stacks.targets import containers
from stacks.units import rounded
from toolchain import remember
from toolchain.versions import table

# Raised when this text means something else: revisions with the same number can be compared as each says it itself.
FORMAT = 1

# A thing is its properties. One that is a list has no order. Several things of a kind may have one name.
Thing = dict[str, str | list[str]]
Kind = dict[str, list[Thing]]
Facts = dict[str, Any]

_RULE_FILES = "etc/rules/"
_DASHBOARDS = "etc/dashboards/"
# Keys of configuration files of which other kinds tell.
_TOLD = {
    prometheus.NAME: {"scrape_configs"},
    alertmanager.NAME: {"inhibit_rules", "receivers", "route", "time_intervals"},
}
# Settings of which other kinds tell.
_ELSEWHERE = re.compile(
    r"(lifecycle|target|override|receivers|secrets|packs|dashboards\.panels|prometheus\.remote_write"
    r"|(prometheus|alertmanager|loki|jaeger)\.(retention|volume)|systems\.[^.]+\.pack)(\.|$)"
)
_OF_A_RULE = ("alert", "record", "expr", "for", "labels", "annotations")
_OF_A_JOB = ("job_name", "static_configs", "metrics_path", "scrape_interval", "scheme")
_OF_A_PANEL = ("id", "title", "type", "description", "gridPos", "panels", "targets")
_OF_A_DASHBOARD = ("panels", "title", "uid", "schemaVersion", "version", "id")
_QUOTED = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)""")


def of_tree(environments: Sequence[str] = ()) -> Facts:
    """The facts of these environments, or of all; those without a stack file are left out."""
    there = sorted(path.stem.removeprefix("Pulumi.") for path in settings.STACK_FILES.glob("Pulumi.*.yaml"))
    wanted = [name for name in there if name in environments] if environments else there
    return {"format": FORMAT, "environments": {name: _environment(name) for name in wanted}}


def _environment(name: str) -> Facts:
    path = settings.stack_file(name)
    try:
        # As on a machine that has every product: what a change does depends on no machine.
        return of_plan(plan.make(settings.from_stack_file(path, name), {}))
    except Refused as refused:
        return {"refused": settings.placed(str(refused), path).splitlines()}


def of_plan(made: Plan) -> Facts:
    """The facts of one environment."""
    documents = {service.name: _documents(service) for service in made.services if service.replica == 1}
    files = [*documents[prometheus.NAME].items(), *documents.get(loki.NAME, {}).items()]
    return {
        "target": made.settings.target,
        "lifecycle": made.settings.lifecycle,
        "things": {
            "environment": {"itself": [_texts(target=made.settings.target, lifecycle=made.settings.lifecycle)]},
            **_rules(made, {path: text for path, text in files if path.startswith(_RULE_FILES)}),
            **_routing(documents[alertmanager.NAME]["etc/alertmanager.yml"]),
            "objectives": _objectives(made),
            **_dashboards(made),
            "jobs": _jobs(made, documents[prometheus.NAME]["etc/prometheus.yml"]),
            "retention": _retention(made.settings),
            "volumes": _volumes(made),
            "services": {service.name: [_service(made, service)] for service in made.services},
            "exposure": {name: [_texts(at=url)] for name, url in made.pages.items()},
            "backends": {
                name: [{"options": _flat(backend.model_dump(exclude_none=True))}]
                for name, backend in made.settings.prometheus.remote_write.items()
            },
            "packs": _packs(made),
            "secrets": {name: [_texts(comes_from=_source(one))] for name, one in made.settings.secrets.items()},
            "settings": _settings(made.settings),
            "left out": _left_out(made),
            "arguments": {
                service.name: [{"arguments": list(service.args)}] for service in made.services if service.replica == 1
            },
            "configuration": _configuration(documents),
        },
        "metrics": _metrics(made),
        "runs": {service.name: _runs(made, service) for service in made.services},
    }


def _texts(**properties: object) -> Thing:
    """A thing with those properties that have a value."""
    return {name.replace("_", " "): str(value) for name, value in properties.items() if value not in (None, "")}


def _flat(value: object, path: str = "") -> list[str]:
    """`a.b = value` for each value in it that is one. A list of plain values is one."""
    if value is None or (isinstance(value, Mapping | list | tuple) and not value):
        return []
    if isinstance(value, Mapping):
        return [line for key, each in value.items() for line in _flat(each, f"{path}.{key}" if path else str(key))]
    if isinstance(value, list | tuple) and any(isinstance(each, Mapping | list | tuple) for each in value):
        return [line for i, each in enumerate(value) for line in _flat(each, f"{path}.{i}")]
    return [f"{path} = {_plain(value)}"]


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(_plain, value)) if isinstance(value, list | tuple | frozenset) else str(value)


def _documents(service: Service) -> dict[str, Any]:
    """The files of a service by path: YAML and JSON as what they say, others as text."""
    return {file.path: _read(file.path, file.text) for file in service.files}


@cache
def _read(path: str, text: str) -> Any:
    if path.startswith(_DASHBOARDS) or not path.endswith((".yml", ".yaml")):
        return text
    document = (remember.documents(text) or [None])[0]
    return _spaced(document) if path.startswith(_RULE_FILES) else document


def _spaced(document: Any) -> Any:
    """Rules with expressions on one line."""
    for group in document.get("groups") or []:
        for rule in group.get("rules") or []:
            rule["expr"] = _one_line(str(rule.get("expr", "")))
    return document


def _one_line(expr: str) -> str:
    """An expression without the line breaks and indents that mean nothing."""
    return "".join(part if i % 2 else re.sub(r"\s+", " ", part) for i, part in enumerate(_QUOTED.split(expr))).strip()


def _rules(made: Plan, files: Mapping[str, Any]) -> dict[str, Kind]:
    root = routes.tree(made.profiles, selftest=False)
    alerts, records, groups = dict[str, list[Thing]](), dict[str, list[Thing]](), dict[str, list[Thing]]()
    known = {(alert.name, *sorted(alert.labels.items())): alert for alert in made.alerts}
    for path, document in files.items():
        for group in document.get("groups") or []:
            options = _flat({key: each for key, each in group.items() if key not in ("name", "rules")})
            groups[f"{path}: {group['name']}"] = [{"options": options}]
            for rule in group.get("rules") or []:
                labels = {key: str(each) for key, each in (rule.get("labels") or {}).items()}
                if "alert" in rule:
                    alert = known[rule["alert"], *sorted(labels.items())]
                    alerts.setdefault(alert.address, []).append(_alert(made, root, alert, rule))
                else:
                    records.setdefault(rule["record"], []).append(_record(rule, labels))
    return {"alerts": alerts, "records": records, "rule groups": groups}


def _alert(made: Plan, root: Node, alert: Alert, rule: Mapping[str, Any]) -> Thing:
    others = {key: each for key, each in rule.items() if key not in _OF_A_RULE}
    return {
        **_texts(severity=alert.labels.get("severity"), expression=rule["expr"]),
        "for": alert.wait,
        **_texts(evaluated_by=None if alert.engine == "prometheus" else alert.engine),
        "told": _told(made, root, alert),
        "labels": [f"{key}={value}" for key, value in sorted(alert.labels.items()) if key != "severity"],
        **{key: str(value) for key, value in alert.annotations.items()},
        **{key: str(value) for key, value in others.items()},
    }


def _told(made: Plan, root: Node, alert: Alert) -> list[str]:
    """The receivers that hear of it, those that are there to tell nobody left out."""
    labels = {"alertname": alert.name, **alert.labels}
    hops = [hop for each in routes.possible(made.profiles, labels) for hop in routes.match(root, each)]
    return sorted({hop.node.receiver for hop in hops} - {routes.DELIVERED})


def _record(rule: Mapping[str, Any], labels: Mapping[str, str]) -> Thing:
    return {"expression": rule["expr"], "labels": [f"{key}={value}" for key, value in sorted(labels.items())]}


def _routing(document: Mapping[str, Any]) -> dict[str, Kind]:
    found: Kind = {}
    for name, thing in _routes(document["route"], ()):
        found.setdefault(name, []).append(thing)
    return {
        "routes": found,
        "receivers": _named(document["receivers"]),
        "inhibitions": _named(document.get("inhibit_rules") or []),
        "times": _named(document.get("time_intervals") or []),
    }


def _named(these: Iterable[Mapping[str, Any]]) -> Kind:
    return {one["name"]: [{"options": _flat({k: v for k, v in one.items() if k != "name"})}] for one in these}


def _routes(node: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[str, Thing]]:
    way = (*above, ", ".join(node.get("matchers") or ["every alert"])) if above or "matchers" in node else above
    own = {key: each for key, each in node.items() if key not in ("matchers", "routes", "receiver")}
    yield " > ".join(way) or "every alert", {"receiver": str(node["receiver"]), "options": _flat(own)}
    for child in node.get("routes") or []:
        yield from _routes(child, way)


def _objectives(made: Plan) -> Kind:
    return {
        f"{slo.system}/{slo.name}": [
            {
                **_texts(objective=f"{slo.objective * 100:.6g} %", window=slo.window, says=slo.description),
                **_texts(errors=_one_line(slo.errors), total=slo.total and _one_line(slo.total)),
                "alerts": [
                    f"{alert.name}: {pair.budget:.6g} of the budget within {pair.long}"
                    for alert in slo.alerts
                    for pair in alert.pairs
                ],
            }
        ]
        for slo in made.objectives
    }


def _dashboards(made: Plan) -> dict[str, Kind]:
    boards, panels = dict[str, list[Thing]](), dict[str, list[Thing]]()
    for dashboard in made.dashboards:
        board, own = _board(dashboard.text)
        boards[dashboard.uid] = [{"folder": dashboard.folder, **board}]
        for title, thing in own:
            panels.setdefault(f"{dashboard.uid}/{title}", []).append(thing)
    return {"dashboards": boards, "panels": panels}


@cache
def _board(text: str) -> tuple[Thing, list[tuple[str, Thing]]]:
    """A dashboard, and its panels by title. Where a panel stands follows from those before it."""
    model = json.loads(text)
    panels = [(str(panel.get("title", "")), _panel(panel)) for panel in _panels(model.get("panels") or [])]
    rest = {key: each for key, each in model.items() if key not in _OF_A_DASHBOARD}
    return {"title": str(model.get("title", "")), "options": _flat(rest)}, panels


def _panels(these: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for panel in these:
        if panel.get("type") != "row":
            yield panel
        yield from _panels(panel.get("panels") or [])


def _panel(panel: Mapping[str, Any]) -> Thing:
    place, defaults = panel.get("gridPos") or {}, (panel.get("fieldConfig") or {}).get("defaults") or {}
    steps = (defaults.get("thresholds") or {}).get("steps") or []
    field = {key: each for key, each in defaults.items() if key not in ("unit", "thresholds")}
    rest = {key: each for key, each in panel.items() if key not in (*_OF_A_PANEL, "fieldConfig")}
    rest["fieldConfig"] = {**(panel.get("fieldConfig") or {}), "defaults": field}
    return {
        **_texts(kind=panel.get("type"), says=panel.get("description"), unit=defaults.get("unit")),
        **_texts(size=f"{place.get('w')}x{place.get('h')}"),
        "queries": [_query(target) for target in panel.get("targets") or []],
        "thresholds": [
            f"{step.get('color')} from {step.get('value')}" for step in steps if step.get("value") is not None
        ],
        "options": _flat(rest),
    }


def _query(target: Mapping[str, Any]) -> str:
    legend = target.get("legendFormat")
    expr = _one_line(str(target.get("expr", json.dumps(target, sort_keys=True))))
    return f"{legend}: {expr}" if legend else expr


def _jobs(made: Plan, document: Mapping[str, Any]) -> Kind:
    known = {job.job: job for job in made.jobs}
    found: Kind = {}
    for config in document["scrape_configs"]:
        name, job = config["job_name"], known.get(config["job_name"])
        targets = [target for each in config.get("static_configs") or [] for target in each["targets"]]
        if job:
            targets = [f"{t.instance} at {t.address} {_labels(t.labels)}".rstrip() for t in job.targets]
        rest = {key: each for key, each in config.items() if key not in _OF_A_JOB}
        thing = _texts(system=job.system if job else None, path=config.get("metrics_path"))
        thing |= _texts(interval=config.get("scrape_interval"), scheme=config.get("scheme"))
        found[name] = [{**thing, "targets": targets, "options": _flat(rest)}]
    return found


def _labels(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))


def _metrics(made: Plan) -> dict[str, list[str]]:
    """The names of the series of each scrape job."""
    profiles = {profile.system: profile for profile in made.profiles}
    found = {}
    for job in made.jobs:
        own = exposed.of_profile(profiles[job.system], job.job) if job.system in profiles else {}
        found[job.job] = sorted({*own, *(_of_program(job.program) if job.program else ())})
    return found


@cache
def _of_program(program: str) -> tuple[str, ...]:
    return tuple(exposed.of_catalogue(program))


def _retention(wanted: Settings) -> Kind:
    kept = {"prometheus": wanted.prometheus.retention, "alertmanager": wanted.alertmanager.retention}
    kept |= {"loki": wanted.loki.retention} if wanted.loki.enabled else {}
    kept |= {"jaeger": wanted.jaeger.retention} if wanted.jaeger.enabled else {}
    return {name: [{"kept": length}] for name, length in kept.items()}


def _volumes(made: Plan) -> Kind:
    return {
        f"{service.name}/{volume.path}": [{"size": rounded(volume.size)}]
        for service in made.services
        for volume in service.volumes
    }


def _service(made: Plan, service: Service) -> Thing:
    contained = made.ground.contained
    return {
        **_texts(
            image=containers.image(made, service) if contained else None,
            version=None if contained or service.product not in table() else table()[service.product].version,
            memory=rounded(service.limits.memory),
            processors=f"{service.limits.cpus:g}",
        ),
        "ports": [f"{port.name} {port.number}/{'+'.join(port.protocols)}" for port in service.ports],
        "environment": [f"{key}={value}" for key, value in service.environment],
        "secrets": [secret.secret for secret in service.secrets],
        "sees of its machine": _flat(vars(service.host)) if service.host else [],
        "may ask the cluster": [line for access in service.access for line in _flat(vars(access))],
        "reaches": ["what is outside"] if service.outbound else [],
    }


def _packs(made: Plan) -> Kind:
    wanted = packs.versions(made.settings, made.profiles)
    return {
        name: [{"version": f"{major} ({rules.manifest(rules.DIRECTORY / name / major).version})"}]
        for name, major in wanted.items()
    }


def _source(secret: Secret) -> str:
    """Where a secret comes from. Another value of one that is encrypted shows as another digest."""
    if secret.capture:
        return f"the capture receiver at /{secret.capture}"
    return f"file {secret.file}" if secret.file else f"the stack file, encrypted ({_digest(secret.secure)[:8]})"


def _left_out(made: Plan) -> Kind:
    found: Kind = {}
    for each in made.left_out:
        what, _, those = each.what.removesuffix(")").partition(" (")
        found.setdefault(what, []).append(_texts(of=those, because=each.because))
    return found


def _settings(wanted: Settings) -> Kind:
    lines = _flat(wanted.model_dump(mode="json", by_alias=True))
    pairs = [line.partition(" = ") for line in lines]
    return {key: [{"value": value}] for key, _, value in pairs if not _ELSEWHERE.match(key)}


def _configuration(documents: Mapping[str, Mapping[str, Any]]) -> Kind:
    """Every value of every configuration file of which no other kind tells; a file of another format as a digest."""
    found: Kind = {}
    for service, files in documents.items():
        for path, document in files.items():
            if path.startswith((_RULE_FILES, _DASHBOARDS)):
                continue
            place = f"{service}/{path}"
            if not isinstance(document, Mapping):
                found[place] = [{"content": _digest(document)[:8]}]
                continue
            rest = {key: each for key, each in document.items() if key not in _TOLD.get(service, ())}
            found |= {f"{place}: {key}": [{"value": value}] for key, _, value in _split(_flat(rest))}
    return found


def _split(lines: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    return (line.partition(" = ") for line in lines)


def _runs(made: Plan, service: Service) -> dict[str, str]:
    """Digests of what makes a service restart, reload, or read files by itself when it changes."""
    image = containers.image(made, service) if made.ground.contained else table().get(service.product)
    restarting = containers.restarting(service)
    by_way: dict[str, dict[str, Any]] = {"restart": {}}
    for file in service.files:
        way = "restart" if file in restarting else file.on_change
        by_way.setdefault(way, {})[file.path] = _read(file.path, file.text)
    by_way["restart"] |= {"itself": repr(replace(service, files=())), "image": repr(image)}
    return {way: _digest(files) for way, files in by_way.items()}


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


if __name__ == "__main__":
    gc.disable()  # a program of a second makes no garbage
    sys.stdout.write(json.dumps(of_tree(sys.argv[1:])))
