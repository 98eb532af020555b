"""Two public mixins, rendered here from their Go modules, as packs of the user's own: nothing in them is changed."""

import json
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _jsonnet
import pytest
import yaml
from conftest import MakePlan

from checks import references, routing
from rules import Alert
from stacks import render
from stacks.plan import Plan
from toolchain.programs import program

pytestmark = pytest.mark.e2e


@dataclass(frozen=True, kw_only=True)
class Mixin:
    """`config` selects the targets of an environment; `parts` are the files that need no dashboard library."""

    name: str
    module: str
    version: str
    folder: str
    parts: tuple[str, ...]
    config: str
    alerts: int
    records: int


PROMETHEUS = Mixin(
    name="prometheus-mixin",
    module="github.com/prometheus/prometheus",
    version="v0.315.0",
    folder="documentation/prometheus-mixin",
    parts=("config.libsonnet", "alerts.libsonnet"),
    config="prometheusSelector: 'job=\"prometheus\"'",
    alerts=23,
    records=0,
)
NODE = Mixin(
    name="node-mixin",
    module="github.com/prometheus/node_exporter",
    version="v1.12.1",
    folder="docs/node-mixin",
    parts=("config.libsonnet", "alerts/alerts.libsonnet", "rules/rules.libsonnet"),
    config="nodeExporterSelector: 'job=\"node-exporter\"'",
    alerts=26,
    records=15,
)
MIXINS = (PROMETHEUS, NODE)
# The files of a pack, by name, as jsonnet writes them.
FILES = """
local mixin = %s + { _config+:: { %s } };
local files = {
  "alerts.yml": mixin.prometheusAlerts,
  "rules.yml": std.get(mixin, "prometheusRules", { groups: [] }, inc_hidden=true),
};
{ [name]: std.manifestYamlDoc(files[name]) for name in std.objectFields(files) if files[name].groups != [] }
"""


@pytest.fixture(scope="session", name="packs")
def _packs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The directory of each mixin as a pack, by its name."""
    scratch = tmp_path_factory.mktemp("modules")
    (scratch / "go.mod").write_text("module scratch\n")
    packs = {mixin.name: tmp_path_factory.mktemp(mixin.name) for mixin in MIXINS}
    for mixin in MIXINS:
        _render(mixin, _downloaded(mixin, scratch), packs[mixin.name])
    return packs


def _downloaded(mixin: Mixin, scratch: Path) -> Path:
    command = ["go", "mod", "download", "-json", f"{mixin.module}@{mixin.version}"]
    done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return Path(json.loads(done.stdout)["Dir"]) / mixin.folder


def _render(mixin: Mixin, source: Path, pack: Path) -> None:
    parts = " + ".join(f"(import '{source / part}')" for part in mixin.parts)
    files: dict[str, str] = json.loads(_jsonnet.evaluate_snippet(mixin.name, FILES % (parts, mixin.config)))
    for name, text in files.items():
        (pack / name).write_text(text)
    manifest = {"pack": mixin.name, "version": mixin.version, "files": {name: {} for name in files}}
    (pack / "pack.yaml").write_text(yaml.safe_dump(manifest))


@pytest.fixture(scope="session", name="made")
def _made(make_plan: MakePlan, packs: dict[str, Path]) -> Plan:
    """The Plan of an environment with both."""
    return make_plan(systems={"boss-workflow": {"workload": True, "own_packs": [str(path) for path in packs.values()]}})


def _rules(text: str) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def _deployed(made: Plan, mixin: Mixin) -> dict[str, str]:
    where = f"prometheus/etc/rules/{mixin.name}/"
    return {path.removeprefix(where): text for path, text in render.tree(made).items() if path.startswith(where)}


def _alerts(made: Plan, mixin: Mixin) -> list[Alert]:
    return [alert for alert in made.alerts if alert.pack == mixin.name]


@pytest.mark.parametrize("mixin", MIXINS, ids=lambda mixin: mixin.name)
def test_every_rule_of_a_mixin_is_deployed_with_nothing_but_labels_of_its_alerts_added(
    made: Plan, packs: dict[str, Path], mixin: Mixin
) -> None:
    deployed = _deployed(made, mixin)
    written = {name: (packs[mixin.name] / name).read_text() for name in deployed}
    kinds = Counter("alert" if "alert" in rule else "record" for text in deployed.values() for rule in _rules(text))
    assert (kinds["alert"], kinds["record"]) == (mixin.alerts, mixin.records)
    for name, text in deployed.items():
        for now, before in zip(_rules(text), _rules(written[name]), strict=True):
            added = {"system": "boss-workflow", "component": now["alert"]} if "alert" in now else {}
            assert now == {**before, **({"labels": {**before["labels"], **added}} if added else {})}


@pytest.mark.parametrize("mixin", MIXINS, ids=lambda mixin: mixin.name)
def test_every_alert_of_a_mixin_reaches_somebody_and_is_named_where_it_is_written(made: Plan, mixin: Mixin) -> None:
    assert routing.check(made, Path()) == references.check(made, Path()) == []
    alerts = _alerts(made, mixin)
    assert len({alert.place for alert in alerts}) == len(alerts)
    for alert in alerts:
        file, _, line = alert.place.rpartition(":")
        assert alert.name in Path(file).read_text().splitlines()[int(line) - 1]


@pytest.mark.parametrize("mixin", MIXINS, ids=lambda mixin: mixin.name)
def test_promtool_takes_what_is_deployed(made: Plan, tmp_path: Path, mixin: Mixin) -> None:
    files = _deployed(made, mixin)
    render.write(files, tmp_path)
    said = _promtool(tmp_path, "check", "rules", "--lint=all", "--lint-fatal", *files)
    assert said.count("SUCCESS") == len(files)


def test_an_alert_of_a_mixin_fires_with_the_labels_that_it_is_routed_by(made: Plan, tmp_path: Path) -> None:
    render.write(_deployed(made, NODE), tmp_path)
    alert = {
        "alertname": "NodeTextFileCollectorScrapeError",
        "eval_time": "10m",
        "exp_alerts": [
            {
                "exp_labels": {
                    "severity": "warning",
                    "system": "boss-workflow",
                    "component": "NodeTextFileCollectorScrapeError",
                    "instance": "here",
                    "job": "node-exporter",
                },
                "exp_annotations": {
                    "summary": "Node Exporter text file collector failed to scrape.",
                    "description": "Node Exporter text file collector on here failed to scrape.",
                },
            }
        ],
    }
    series = 'node_textfile_scrape_error{job="node-exporter",instance="here",system="platform"}'
    test = {"interval": "1m", "input_series": [{"series": series, "values": "1x20"}], "alert_rule_test": [alert]}
    (tmp_path / "fires.yml").write_text(yaml.safe_dump({"rule_files": ["alerts.yml"], "tests": [test]}))
    _promtool(tmp_path, "test", "rules", "fires.yml")


def _promtool(directory: Path, *arguments: str) -> str:
    command = [str(program("promtool")), *arguments]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
