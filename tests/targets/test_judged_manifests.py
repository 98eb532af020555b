"""What others' judges have against the objects of a cluster is excused by name, or there is nothing."""

import hashlib

import pytest
from conftest import MakePlan
from standins import judges

from stacks import images
from stacks.settings import Registry
from stacks.targets import manifests


def _pinned(product: str, registry: Registry | None) -> str:
    """With a digest, as `./watchstack pin` finds it."""
    name = images.named(product, registry)
    return f"{name}@sha256:{hashlib.sha256(name.encode()).hexdigest()}"


@pytest.mark.e2e
def test_judges(make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "reference", _pinned)
    plan = make_plan(
        target="kubernetes",
        registry={"address": "mirror.example.org"},
        prometheus={"replicas": 2},
        alertmanager={"replicas": 3},
        systems={"boss-workflow": {"workload": True}, "phase5": {"workload": True}},
        secrets={
            "discord-webhook": {"capture": "discord"},
            "slack-webhook": {"capture": "slack"},
            "bucket": {"file": "/nowhere"},
        },
        object_storage={"endpoint": "s3.example.org", "bucket": "metrics", "credentials": "bucket"},
        thanos={},
        loki={"bucket": {"name": "logs", "since": "2026-01-01"}},
    )
    objects = manifests.objects(plan)
    found = [*judges.kube_score(objects), *judges.checkov(objects), *judges.kubeconform(objects)]
    assert judges.problems(found, judges.exceptions()) == []
