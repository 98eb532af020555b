"""What a preview says on the Docker target is what happens: the same operations on the same resources."""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import seen
from standins.rehearse import Ground

from e2e.environments import Environment

pytestmark = pytest.mark.e2e

NAME = "edited"
Settings = dict[str, Any]
Edit = Callable[[Settings, random.Random], Settings]

# An operation of an update is told in its parts as well.
_PARTS = {"delete-replaced", "create-replacement"}


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "discord"
    file.write_text("http://127.0.0.1:9/one")
    return file


@pytest.fixture
def edited(there: Ground, scratch: Path, secret: Path) -> Iterator[Environment]:
    environment = Environment(NAME, scratch, variables=tuple(there.variables.items()))
    settings = {
        "loki": {"enabled": False, "retention": "24h", "volume": "512MB"},
        "jaeger": {"enabled": False, "retention": "24h", "volume": "512MB"},
        "secrets": {"discord-webhook": {"file": str(secret)}, "heartbeat": {"capture": "heartbeat"}},
        "target": "docker",
    }
    environment.write(**settings, **there.settings(settings))
    with environment.running():
        yield environment
    assert environment.watchstack("audit")["left"] == []


def _one_of(key: str, name: str, *values: object) -> Edit:
    """Another value of `watchstack:KEY.NAME`."""
    return lambda settings, chance: {key: {**settings.get(key, {}), name: chance.choice(values)}}


def _switch(key: str, name: str = "enabled") -> Edit:
    return lambda settings, _: {key: {**settings.get(key, {}), name: not settings.get(key, {}).get(name, True)}}


def _override(settings: Settings, chance: random.Random) -> Settings:
    alert = chance.choice(["boss-workflow/HighErrorRate", "boss-workflow/RedisErrors", "boss-workflow/LowCacheHitRate"])
    change: Settings = chance.choice(
        [
            {"for": f"{chance.randint(1, 30)}m"},
            {"severity": chance.choice(["info", "warning", "critical"])},
            {"labels": {"shift": chance.choice(["day", "night"])}},
            {"disabled": True},
        ]
    )
    return {
        "override": {**settings.get("override", {}), alert: {**change, "because": "it is a trial", "seen": seen(alert)}}
    }


def _publish(settings: Settings, chance: random.Random) -> Settings:
    services = ["prometheus", "alertmanager"]
    return {"docker": {**settings["docker"], "publish": chance.sample(services, chance.randint(0, len(services)))}}


def _capture(settings: Settings, _: random.Random) -> Settings:
    """Off, with the heartbeat to where nothing listens; and on again."""
    secrets, off = settings["secrets"], settings.get("capture", {}).get("enabled", True)
    heartbeat = secrets["discord-webhook"] if off else {"capture": "heartbeat"}
    return {"capture": {"enabled": not off}, "secrets": {**secrets, "heartbeat": heartbeat}}


def _another_webhook(settings: Settings, chance: random.Random) -> Settings:
    Path(settings["secrets"]["discord-webhook"]["file"]).write_text(f"http://127.0.0.1:9/{chance.random()}")
    return {}


def _another_name_of_the_registry(settings: Settings, _: random.Random) -> Settings:
    host, _, port = settings["registry"]["address"].partition(":")
    return {"registry": {"address": f"{'localhost' if host == '127.0.0.1' else '127.0.0.1'}:{port}"}}


EDITS: Mapping[str, tuple[Edit, int]] = {
    "retention": (_one_of("prometheus", "retention", "1d", "2d", "3d", "4d"), 5),
    "scrape_interval": (_one_of("prometheus", "scrape_interval", "2s", "3s", "4s"), 4),
    "evaluation_interval": (_one_of("prometheus", "evaluation_interval", "2s", "3s", "4s"), 2),
    "replicas of Prometheus": (_one_of("prometheus", "replicas", 1, 2), 3),
    "replicas of Alertmanager": (_one_of("alertmanager", "replicas", 1, 2, 3), 3),
    "retention of Alertmanager": (_one_of("alertmanager", "retention", "100h", "110h", "120h"), 2),
    "labels": (_one_of("external_labels", "edition", "one", "two", "three"), 4),
    "override": (_override, 4),
    "publish": (_publish, 5),
    "address": (_one_of("docker", "address", "127.0.0.1", "127.0.0.2"), 2),
    "port_offset": (lambda _, chance: {"port_offset": 19500 + chance.randint(0, 20)}, 2),
    "dashboards": (_one_of("dashboards", "only", ["platform"], ["boss-workflow"]), 1),
    "webhook": (_another_webhook, 3),
    "capture": (_capture, 2),
    "node_exporter": (_switch("node_exporter"), 2),
    "loki": (_switch("loki"), 2),
    "jaeger": (_switch("jaeger"), 2),
    "container_metrics": (_one_of("docker", "container_metrics", True, False), 2),
    "fast_forward": (lambda _, chance: {"fast_forward": chance.choice([2, 3])}, 1),
    "registry": (_another_name_of_the_registry, 1),
}


def test_what_is_previewed_is_what_is_done(edited: Environment) -> None:
    chance = random.Random(7)
    deck = [name for name, (_, times) in EDITS.items() for _ in range(times)]
    assert len(deck) >= 50
    chance.shuffle(deck)
    wrong = {}
    done: list[set[tuple[str, str]]] = []
    # Two at a time, which takes half as long, and tries what one does to the other.
    for number, names in enumerate(zip(deck[::2], deck[1::2], strict=True)):
        for name in names:
            edited.set(_another(edited.settings, EDITS[name][0], chance))
        previewed, performed = _operations(edited.up("--json", preview=True))
        # Each of these takes as long as an edit.
        left = edited.pulumi("preview", "--expect-no-changes", check=False) if number % 5 == 0 else ""
        if previewed != performed or "error:" in left:
            wrong[number, *names] = {
                "previewed alone": previewed - performed,
                "performed alone": performed - previewed,
                "left": left if "error:" in left else "",
            }
        done.append(performed)
    assert wrong == {}
    assert sum(map(bool, done)) > len(done) * 0.8, "nearly every edit changes something"
    assert {operation for each in done for operation, _ in each} >= {"create", "delete", "replace"}


def _another(settings: Settings, edit: Edit, chance: random.Random) -> Settings:
    for _ in range(20):
        changed = {**settings, **edit(settings, chance)}
        if changed != settings or edit is _another_webhook:
            return changed
    raise AssertionError("the edit has one value only")


def _operations(output: str) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Of an `up --json`: what its preview says, as one document; then what happened, an event a line."""
    start = output.index("{\n")
    document, end = json.JSONDecoder().raw_decode(output[start:])
    previewed = {(step["op"], step["urn"]) for step in document["steps"]}
    events = [json.loads(line) for line in output[start + end :].splitlines() if line.startswith("{")]
    done = [event["resOutputsEvent"]["metadata"] for event in events if "resOutputsEvent" in event]
    performed = {(one["op"], one["urn"]) for one in done}
    assert performed, "the events of the update are there"
    return _whole(previewed), _whole(performed)


def _whole(operations: set[tuple[str, str]]) -> set[tuple[str, str]]:
    return {(operation, urn) for operation, urn in operations if operation not in {*_PARTS, "same"}}
