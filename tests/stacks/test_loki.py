"""Where Loki keeps logs: in its volume, or in a bucket since a day."""

from typing import Any

import pytest
import yaml
from conftest import MakePlan

from stacks.plan import Plan
from stacks.service import Service

STORE = {"endpoint": "10.0.0.12:9000", "bucket": "metrics", "credentials": "bucket", "insecure": True}
SECRETS = {"discord-webhook": {"capture": "discord"}, "bucket": {"file": "/run/secrets/bucket"}}


def _service(plan: Plan) -> Service:
    found = plan.find("loki")
    assert found is not None
    return found


def _config(service: Service) -> dict[str, Any]:
    [text] = [file.text for file in service.files if file.path == "etc/loki.yml"]
    return dict(yaml.safe_load(text))


def _since(make_plan: MakePlan, day: str) -> Service:
    bucket = {"bucket": {"name": "logs", "since": day}}
    return _service(make_plan(loki=bucket, object_storage=STORE, secrets=SECRETS))


def test_without_a_bucket_logs_are_in_the_volume_and_nothing_is_reached(make_plan: MakePlan) -> None:
    loki = _service(make_plan(object_storage=STORE, secrets=SECRETS))
    config = _config(loki)
    assert [period["object_store"] for period in config["schema_config"]["configs"]] == ["filesystem"]
    assert config["compactor"]["delete_request_store"] == "filesystem"
    assert "storage_config" not in config
    assert (loki.secrets, loki.environment, loki.outbound) == ((), (), False)


def test_what_is_older_than_the_bucket_is_read_from_the_volume(make_plan: MakePlan) -> None:
    loki = _since(make_plan, "2026-12-01")
    config = _config(loki)
    periods = [(str(period["from"]), period["object_store"]) for period in config["schema_config"]["configs"]]
    assert periods == [("2024-01-01", "filesystem"), ("2026-12-01", "s3")]
    assert config["storage_config"] == {
        "use_thanos_objstore": True,
        "object_store": {
            "filesystem": {"dir": config["common"]["storage"]["filesystem"]["chunks_directory"]},
            "s3": {"bucket_name": "logs", "endpoint": "10.0.0.12:9000", "insecure": True},
        },
    }
    assert config["ruler_storage"]["local"]["directory"] == config["common"]["storage"]["filesystem"]["rules_directory"]
    assert config["compactor"]["delete_request_store"] == "s3"


@pytest.mark.parametrize("day", ["2024-01-01", "2023-06-30"])
def test_a_day_before_all_others_leaves_one_period(make_plan: MakePlan, day: str) -> None:
    [period] = _config(_since(make_plan, day))["schema_config"]["configs"]
    assert (str(period["from"]), period["object_store"]) == (day, "s3")


def test_the_key_is_in_the_secret_alone(make_plan: MakePlan) -> None:
    loki = _since(make_plan, "2026-12-01")
    assert [(secret.path, secret.secret) for secret in loki.secrets] == [("secrets/object-storage", "bucket")]
    assert dict(loki.environment) == {"AWS_SHARED_CREDENTIALS_FILE": "secrets/object-storage"}
    assert loki.outbound
