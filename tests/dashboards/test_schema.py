"""Every dashboard compiles against the model that Grafana publishes for the pinned version."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dashboards import build, names, render
from toolchain import programs, remember

pytestmark = pytest.mark.e2e

SCHEMA = Path(__file__).parent / "schema"
SOURCES = ("classic.ts", "tsconfig.json")

Json = dict[str, Any]


@pytest.fixture(scope="module")
def modules() -> Path:
    """The pinned npm packages, outside the clone."""
    manifests = [SCHEMA / name for name in ("package.json", "package-lock.json")]
    there = programs.cache() / remember.key("schema", manifests, []).name
    if not (there / "node_modules" / ".package-lock.json").is_file():
        there.mkdir(parents=True, exist_ok=True)
        for manifest in manifests:
            shutil.copy(manifest, there)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=there, check=True, capture_output=True, text=True)
    return there / "node_modules"


def compiled(modules: Path, directory: Path, models: dict[str, Json]) -> list[str]:
    """What the compiler says of these dashboards, one a file."""
    (directory / "node_modules").symlink_to(modules)
    for source in SOURCES:
        shutil.copy(SCHEMA / source, directory)
    for name, model in models.items():
        text = json.dumps(model, indent=2)
        (directory / f"{name}.ts").write_text(
            f'import type {{ Dashboard }} from "./classic";\n\nexport const board: Dashboard = {text};\n'
        )
    done = subprocess.run(
        [str(modules / ".bin" / "tsc"), "--noEmit"],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) == (not done.stdout), done.stderr
    return done.stdout.splitlines()


def test_every_dashboard_is_what_grafana_publishes(modules: Path, tmp_path: Path) -> None:
    assert compiled(modules, tmp_path, {name: json.loads(render(build(name))) for name in names()}) == []


def _unknown_option(model: Json) -> None:
    model["panels"][0]["options"]["legend"]["colour"] = "red"


def _unknown_value(model: Json) -> None:
    model["panels"][0]["options"]["legend"]["placement"] = "left"


def _missing_option(model: Json) -> None:
    del model["panels"][0]["options"]["tooltip"]


def _removed_type(model: Json) -> None:
    model["panels"][0]["type"] = "graph"


def _old_field(model: Json) -> None:
    model["panels"][0]["fieldConfig"]["defaults"]["custom"]["axisFormat"] = "short"


def _place_of_text(model: Json) -> None:
    model["panels"][0]["gridPos"]["w"] = "12"


DAMAGE: dict[Callable[[Json], None], str] = {
    _unknown_option: "'\"colour\"' does not exist",
    _unknown_value: "'\"left\"' is not assignable",
    _missing_option: "'tooltip' is missing",
    _removed_type: "'\"graph\"' is not assignable",
    _old_field: "'\"axisFormat\"' does not exist",
    _place_of_text: "'string' is not assignable to type 'number'",
}


def test_what_grafana_does_not_know_is_found(modules: Path, tmp_path: Path) -> None:
    models = {}
    for damage in DAMAGE:
        models[damage.__name__] = json.loads(render(build("boss-workflow")))
        damage(models[damage.__name__])
    said = "\n".join(compiled(modules, tmp_path, models))
    for damage, words in DAMAGE.items():
        assert re.search(rf"^{damage.__name__}\.ts\(.*(\n .*)*{re.escape(words)}", said, re.MULTILINE), said
