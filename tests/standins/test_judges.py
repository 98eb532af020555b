"""Judges find what is wrong with careless objects, nothing wrong with careful ones, and exceptions excuse no more."""

import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from stacks.strict import Refused
from standins import judges
from standins.judges import Exempt, Finding, JudgeFailed, Object

HERE = Path(__file__).parent / "kubernetes"
EXCEPTIONS = HERE / "exceptions.yaml"
Judge = Callable[[Sequence[Object]], list[Finding]]

FOUND: dict[Judge, dict[str, set[str]]] = {
    judges.kube_score: {
        "Deployment/shop/careless": {
            "deployment-pod-selector-labels-match-template-metadata-labels",
            "pod-networkpolicy",
        },
        "Deployment/shop/careless/web": {
            "container-image-tag",
            "container-resources",
            "container-security-context-privileged",
            "container-security-context-readonlyrootfilesystem",
            "environment-variable-key-duplication",
        },
        "Deployment/shop/old": {"stable-version"},
        "Service/shop/web": {"service-targets-pod", "service-type"},
        "StatefulSet/shop/data": {"statefulset-has-servicename"},
    },
    judges.checkov: {
        # Of the host's processes and network, privileged, as root, an image without a version, without a policy.
        "Deployment/shop/careless": {
            "CKV_K8S_17",
            "CKV_K8S_19",
            "CKV_K8S_16",
            "CKV_K8S_23",
            "CKV_K8S_14",
            "CKV2_K8S_6",
        },
        # Without limits, probes, a seccomp profile.
        "StatefulSet/shop/data": {"CKV_K8S_11", "CKV_K8S_13", "CKV_K8S_8", "CKV_K8S_9", "CKV_K8S_31"},
    },
}


def _objects(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((HERE / name).read_text()))


@pytest.mark.e2e
@pytest.mark.parametrize("judge", FOUND, ids=lambda judge: judge.__name__)
def test_careless_objects(judge: Judge) -> None:
    found = defaultdict(set)
    for finding in judge(_objects("careless.yaml")):
        found[finding.object].add(finding.check.partition("/")[2])
    assert {name: checks - found[name] for name, checks in FOUND[judge].items() if checks - found[name]} == {}


@pytest.mark.e2e
def test_objects_that_the_api_does_not_know() -> None:
    found = judges.kubeconform(_objects("careless.yaml"))
    assert {(each.object, each.check.partition("/")[2], each.wrong) for each in found} == {
        ("ConfigMap/shop/settings", "invalid", "/data/port: got number, want string"),
        (
            "Deployment/shop/careless",
            "invalid",
            "/spec/template/spec/containers/0: additional properties 'resource' not allowed",
        ),
        ("Deployment/shop/old", "schema", "could not find schema for Deployment"),
        ("Service/shop/web", "invalid", "/spec/ports/0: missing property 'port'"),
        ("StatefulSet/shop/data", "invalid", "/spec: additional properties 'servicename' not allowed"),
    }


@pytest.mark.e2e
@pytest.mark.parametrize("judge", [*FOUND, judges.kubeconform], ids=lambda judge: judge.__name__)
def test_careful_objects(judge: Judge) -> None:
    assert judge(_objects("careful.yaml")) == []


@pytest.mark.e2e
def test_annotations_hide_nothing() -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"}}
    service |= {"spec": {"type": "NodePort", "ports": [{"port": 80}]}}
    service["metadata"]["annotations"] = {"kube-score/ignore": "service-type"}  # type: ignore[index]
    assert "kube-score/service-type" in {finding.check for finding in judges.kube_score([service])}


@pytest.mark.e2e
def test_what_a_judge_cannot_read_is_no_pass() -> None:
    deployment = _objects("careless.yaml")[0]
    deployment["spec"]["replicas"] = "many"
    with pytest.raises(JudgeFailed, match=r"kube-score: Failed to score files: .* cannot unmarshal string"):
        judges.kube_score([deployment])
    with pytest.raises(JudgeFailed, match="checkov could not read all objects"):
        judges.checkov([])


FINDINGS = [
    Finding(object="Service/shop/web", check="kube-score/service-type", wrong="The service is of type NodePort"),
    Finding(object="Deployment/shop/careless", check="checkov/CKV_K8S_43", wrong="Image should use digest"),
]


def test_exceptions_excuse_what_they_name() -> None:
    exempt = judges.exceptions(EXCEPTIONS)
    assert judges.problems(FINDINGS, exempt) == []
    other = [Finding(object="Deployment/shop/other", check="checkov/CKV_K8S_43", wrong="Image should use digest")]
    assert judges.problems([*FINDINGS, *other], exempt) == [
        "Deployment/shop/other: checkov/CKV_K8S_43: Image should use digest"
    ]


def test_an_exception_that_excuses_nothing_is_a_problem() -> None:
    exempt = judges.exceptions(EXCEPTIONS)
    assert judges.problems(FINDINGS[:1], exempt) == [
        "exception for */shop/careless, checkov/CKV_K8S_43: nothing is found that it excuses"
    ]


@pytest.mark.parametrize(
    ("pattern", "covered"),
    [
        ("StatefulSet/shop/data/keep", ["StatefulSet/shop/data/keep"]),
        ("StatefulSet/shop/data", ["StatefulSet/shop/data"]),
        ("*/keep", ["StatefulSet/shop/data/keep", "Deployment/shop/web/keep"]),
        ("StatefulSet/*", ["StatefulSet/shop/data", "StatefulSet/shop/data/keep"]),
    ],
)
def test_patterns_of_objects_and_their_containers(pattern: str, covered: list[str]) -> None:
    names = ["StatefulSet/shop/data", "StatefulSet/shop/data/keep", "Deployment/shop/web/keep"]
    exempt = Exempt(check="a/b", object=pattern, reason="It is an example of how patterns work.")
    assert [name for name in names if exempt.covers(Finding(object=name, check="a/b", wrong=""))] == covered
    assert not exempt.covers(Finding(object=covered[0], check="a/c", wrong=""))


@pytest.mark.parametrize("path", sorted((HERE / "exceptions").iterdir()), ids=lambda path: path.stem)
def test_exceptions_that_are_refused(path: Path) -> None:
    lines = itertools.takewhile(lambda line: line.startswith("# "), path.read_text().splitlines())
    with pytest.raises(Refused) as refused:
        judges.exceptions(path)
    assert str(refused.value).splitlines() == [line.removeprefix("# ") for line in lines]


# The description of the API, in small.

DESCRIPTION = {
    "Thing": {
        "x-kubernetes-group-version-kind": [{"group": "things.example.org", "version": "v1", "kind": "Thing"}],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "description": {"type": "string", "description": "words"},
            "size": {"$ref": "#/definitions/of.Quantity"},
            "port": {"$ref": "#/definitions/Port"},
            "parts": {"type": "array", "items": {"$ref": "#/definitions/Part"}},
        },
        "required": ["size"],
    },
    "Part": {"properties": {"parts": {"type": "array", "items": {"$ref": "#/definitions/Part"}}}},
    "Port": {"type": "string", "format": "int-or-string"},
    "of.Quantity": {"type": "string"},
}


def test_schemas_are_closed_and_stand_alone() -> None:
    schema = judges._strict(DESCRIPTION, "Thing", ())
    assert schema["properties"] | {"apiVersion": {}, "kind": {}} == {
        "apiVersion": {},
        "kind": {},
        "description": {"type": "string"},
        "size": {"type": ["string", "number"]},
        "port": {"type": ["string", "number"]},
        "parts": {
            "type": "array",
            "items": {"properties": {"parts": {"type": "array", "items": {}}}, "additionalProperties": False},
        },
    }
    assert (schema["additionalProperties"], schema["required"]) == (False, ["size"])
