"""The benchmark's controls: each fault is found, what is sound is not, and exceptions excuse what they name alone."""

import fnmatch
import itertools
import json
import shutil
import subprocess
from collections import defaultdict
from copy import deepcopy
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from conftest import MakePlan
from docker.models.containers import Container

from stacks.strict import Refused
from standins import cis

HERE = Path(__file__).parent / "cis"
CLEAN = json.loads((HERE / "clean.json").read_text())
CARELESS = json.loads((HERE / "careless.json").read_text())
FAULTS = yaml.safe_load((HERE / "faults.yaml").read_text())
# Engines whose kernel offers everything, and what Debian's offers without a security module.
EVERYTHING = {"SecurityOptions": ["name=apparmor", "name=selinux", "name=seccomp,profile=default"]}
PLAIN = {"SecurityOptions": ["name=seccomp,profile=default"], "Swarm": {"LocalNodeState": "inactive"}}


def _with(document: Any, change: Any) -> Any:
    if not isinstance(change, dict) or not isinstance(document, dict):
        return change
    return {**document, **{key: _with(document.get(key), value) for key, value in change.items()}}


def _of(service: str, part: str = "", change: Any = None) -> Any:
    """A container of a service, clean but for a change."""
    labels = {"watchstack.service": service, **({"watchstack.part": part} if part else {})}
    name = "-".join(filter(None, ("/watchstack-dev", service, part)))
    return _with(_with(deepcopy(CLEAN), {"Name": name, "Config": {"Labels": labels}}), change or {})


@pytest.mark.parametrize("case", FAULTS, ids=[f"{case['control']}-{at}" for at, case in enumerate(FAULTS)])
def test_each_control(case: Any) -> None:
    document = _with(deepcopy(CLEAN), case["change"])
    found = cis.inspected([document], EVERYTHING).findings
    assert [finding.fault.wrong for finding in found if finding.control == case["control"]] == case["found"]


def test_every_control_has_a_fault() -> None:
    tried = {case["control"] for case in FAULTS if case["found"]}
    assert tried == {control.number for control in cis.CONTROLS}


def test_a_clean_container_has_no_finding() -> None:
    assert cis.inspected([CLEAN], EVERYTHING).findings == ()


def test_a_stack_of_common_habits() -> None:
    found = defaultdict(set)
    for finding in cis.inspected(CARELESS, PLAIN).findings:
        found[finding.container].add(finding.control)
    everywhere = {"5.4", "5.11", "5.12", "5.13", "5.15", "5.19", "5.26", "5.27", "5.28", "5.29"}
    assert found == {
        "metrics": everywhere,
        "alerts": everywhere,
        "grapher": everywhere,
        "machine-metrics": everywhere | {"5.6", "5.16", "5.32"},
        "container-metrics": everywhere | {"5.5", "5.6", "5.18", "5.22", "5.32"},
        "front": everywhere | {"5.6", "5.8", "5.9", "5.14"},
        "sidecar": everywhere | {"5.7", "5.9", "5.10", "5.17", "5.20", "5.21", "5.22", "5.25", "5.31", "5.32"},
    }


def test_a_finding_in_words() -> None:
    [finding] = cis.inspected([_with(CLEAN, {"HostConfig": {"PidMode": "host"}})], EVERYTHING).findings
    assert str(finding) == "watchstack-dev-prometheus: 5.16 own process namespace: PidMode is host"


def test_what_the_host_does_not_offer_is_told_once_and_is_no_finding() -> None:
    bare = _with(CLEAN, {"AppArmorProfile": "", "ProcessLabel": ""})
    report = cis.inspected([bare, bare], PLAIN)
    assert report.findings == ()
    assert report.undecided == (
        "5.2 AppArmor profile: the engine's host has no apparmor",
        "5.3 SELinux options: the engine's host has no selinux",
        "5.23 no docker exec with --privileged: a document does not tell how docker exec was used",
        "5.24 no docker exec as root: a document does not tell how docker exec was used",
    )
    assert len(cis.inspected([bare], EVERYTHING).findings) == 2


def test_swarm_mode_is_a_finding_of_the_engine() -> None:
    found = cis.inspected([CLEAN], {**EVERYTHING, "Swarm": {"LocalNodeState": "active"}}).findings
    assert [str(finding) for finding in found] == ["the engine: 5.1 no swarm mode: swarm mode is active"]


def _exempt(*controls: str) -> list[cis.Exempt]:
    """The exceptions of all loaders of files, or of Prometheus, from these controls."""
    chosen = [each for each in cis.exceptions() if each.control in controls and each.service in ("*", "prometheus")]
    return [each for each in chosen if each.kind != "secrets"]


def test_exceptions_excuse_what_they_name_alone() -> None:
    added = {"HostConfig": {"CapAdd": ["CAP_CHOWN", "DAC_OVERRIDE", "FOWNER", "CAP_SYS_ADMIN"], "PidsLimit": None}}
    stranger = _with(_of("loki", "loader", added), {"Name": "/stranger", "Config": {"Labels": {}}})
    stranger["Config"]["Labels"] = {"watchstack.part": "loader"}
    documents = [_of("loki", "loader", added), _of("loki", "", {"HostConfig": {"CapAdd": ["CAP_CHOWN"]}}), stranger]
    assert cis.problems(cis.inspected(documents, EVERYTHING).findings, _exempt("5.4", "5.29")) == [
        "watchstack-dev-loki-loader: 5.4 restricted capabilities: CapAdd has SYS_ADMIN",
        "watchstack-dev-loki: 5.4 restricted capabilities: CapAdd has CHOWN",
        "stranger: 5.4 restricted capabilities: CapAdd has CHOWN",
        "stranger: 5.4 restricted capabilities: CapAdd has DAC_OVERRIDE",
        "stranger: 5.4 restricted capabilities: CapAdd has FOWNER",
        "stranger: 5.4 restricted capabilities: CapAdd has SYS_ADMIN",
        "stranger: 5.29 limit of processes: PidsLimit is without a limit",
    ]


def test_a_named_thing_is_not_excused_by_the_control_alone() -> None:
    port = {"HostConfig": {"PortBindings": {"9090/tcp": [{"HostIp": "127.0.0.1", "HostPort": "9090"}]}}}
    found = cis.inspected([_of("prometheus", "", port)], EVERYTHING).findings
    [door] = _exempt("5.9")
    assert cis.problems(found, [door]) == []
    unnamed = door.model_copy(update={"about": ()})
    assert len(cis.problems(found, [unnamed])) == 2


def test_the_control_alone_is_not_excused_by_a_named_thing() -> None:
    found = cis.inspected([_of("prometheus", "", {"HostConfig": {"PublishAllPorts": True}})], EVERYTHING).findings
    assert cis.problems(found, _exempt("5.9"))[0] == (
        "watchstack-dev-prometheus: 5.9 only needed ports: PublishAllPorts is true"
    )


def test_an_exception_that_excuses_nothing_is_a_problem() -> None:
    loader = _of("loki", "loader", {"HostConfig": {"CapAdd": ["CAP_CHOWN", "CAP_FOWNER"]}})
    assert cis.problems(cis.inspected([loader], EVERYTHING).findings, _exempt("5.4", "5.9")) == [
        "exception for * loader, 5.4 restricted capabilities (DAC_OVERRIDE): nothing is found that it excuses",
        "exception for prometheus service, 5.9 only needed ports (9090/tcp): nothing is found that it excuses",
    ]


def test_the_data_of_an_engine_is_in_its_usual_place_wherever_it_is() -> None:
    logs = {"Type": "bind", "Source": "/srv/engine/containers", "Destination": "/logs", "RW": False}
    document = _of("otel-collector", "", {"Mounts": [logs]})
    [finding] = cis.inspected([document], {**EVERYTHING, "DockerRootDir": "/srv/engine"}).findings
    assert finding.fault.about == "/var/lib/docker/containers"
    assert cis.inspected([document], EVERYTHING).findings == ()


def test_exceptions_are_of_services_that_there_are(make_plan: MakePlan) -> None:
    made = make_plan(target="docker", docker={"container_metrics": True})
    names = [service.name for service in made.services]
    assert [each.service for each in cis.exceptions() if not fnmatch.filter(names, each.service)] == []


@pytest.mark.parametrize("path", sorted((HERE / "exceptions").iterdir()), ids=lambda path: path.stem)
def test_exceptions_that_are_refused(path: Path) -> None:
    lines = itertools.takewhile(lambda line: line.startswith("# "), path.read_text().splitlines())
    with pytest.raises(Refused) as refused:
        cis.exceptions(path)
    assert str(refused.value).splitlines() == [line.removeprefix("# ") for line in lines]


def test_a_confined_process() -> None:
    assert list(cis.process_faults((HERE / "status" / "confined").read_text())) == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("Uid:\t65534\t0\t65534\t65534", "4.1 process busybox runs as root (Uid: 65534 0 65534 65534)"),
        ("CapEff:\t0000000000000001", "5.4 process busybox has capabilities (CapEff: 0000000000000001)"),
        ("Name:\tsshd", "5.7 process sshd runs"),
        ("Seccomp:\t0", "5.22 process busybox may make every system call (Seccomp: 0)"),
        ("NoNewPrivs:\t0", "5.26 process busybox may gain privileges (NoNewPrivs: 0)"),
    ],
)
def test_a_process_that_may_more(line: str, told: str) -> None:
    name = line.partition(":")[0]
    confined = (HERE / "status" / "confined").read_text().splitlines()
    status = "\n".join(line if each.startswith(f"{name}:") else each for each in confined)
    assert [f"{number} {fault.wrong}" for number, fault in cis.process_faults(status)] == [told]


def test_a_process_of_a_container_without_options() -> None:
    found = cis.process_faults((HERE / "status" / "root").read_text())
    assert [number for number, _ in found] == ["4.1", "5.4", "5.26"]


def test_inside_reads_the_process_and_what_it_started(tmp_path: Path) -> None:
    daemon = tmp_path / "sshd"
    shutil.copy("/bin/sleep", daemon)
    with subprocess.Popen(["/bin/sh", "-c", f"{daemon} 60 & wait"]) as shell:
        try:
            child = _child(shell.pid)
            found = cis.inside(Container(attrs=_with(CLEAN, {"State": {"Pid": shell.pid}})))
        finally:
            child.kill()
    assert "watchstack-dev-prometheus: 5.7 no sshd: process sshd runs" in map(str, found)


def _child(pid: int) -> psutil.Process:
    """What a process started, once it is the program that it is to be."""
    while True:
        for child in psutil.Process(pid).children():
            if child.name() == "sshd":
                return child


def test_inside_a_container_that_does_not_run() -> None:
    with pytest.raises(ValueError, match="watchstack-dev-prometheus is not running: it has no process to look at"):
        cis.inside(Container(attrs=_with(CLEAN, {"State": {"Pid": 0}})))
