"""The generated pages and golden files are what the code says now."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from docs import generate, settings
from stacks.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
FILES = generate.files()
SCHEMA = Settings.model_json_schema(by_alias=True)


@pytest.mark.parametrize("path", sorted(path for path in FILES if path.startswith("docs/")))
def test_a_generated_page_is_as_committed(path: str) -> None:
    assert (ROOT / path).read_text() == FILES[path], "make it anew with `make generate`"


def test_generate_writes_what_belongs_and_removes_what_does_not(tmp_path: Path) -> None:
    stale = [tmp_path / "docs" / "metrics" / "gone.md", tmp_path / generate.GOLDEN / "gone" / "etc" / "x.yml"]
    for path in stale:
        path.parent.mkdir(parents=True)
        path.write_text("of a system that is no more")
    beside = tmp_path / "docs" / "by-hand.md"
    beside.write_text("written by a person")
    generate.write(tmp_path)
    written = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {**FILES, "docs/by-hand.md": "written by a person"}


def _keys(schema: dict[str, Any], where: str) -> Iterator[str]:
    """The path of every key that a file can hold, from the JSON schema: another way than the page takes."""
    for key, value in schema["properties"].items():
        path = where + key
        # A map of models, whose keys are free or follow a pattern.
        entries = [value["additionalProperties"]] if value.get("additionalProperties") else []
        entries += value.get("patternProperties", {}).values()
        # One that may be null, or a model.
        entries += [part for part in value.get("anyOf", []) if "$ref" in part]
        step = "." if "anyOf" in value else ".*."
        inner, step = (entries[0], step) if entries else (value, ".")
        if "$ref" in inner:
            yield from _keys(SCHEMA["$defs"][inner["$ref"].rpartition("/")[2]], path + step)
        else:
            yield path


@pytest.mark.parametrize("key", sorted(set(_keys(SCHEMA, "watchstack:")) - {"watchstack:environment"}))
def test_every_key_is_in_the_settings_page(key: str) -> None:
    chosen = {
        "systems": "SYSTEM",
        "receivers": "RECEIVER",
        "accept": "COMPONENT",
        "override": "PACK/ALERT",
        "secrets": "NAME",
        "dashboards": "DASHBOARD/PANEL",
        "prometheus": "BACKEND",
        "docker": "HOST",
    }
    name = key.removeprefix("watchstack:").partition(".")[0]
    assert f"\n| `{key.replace('*', chosen.get(name, '*'))}` |" in FILES["docs/settings.md"]


@pytest.mark.parametrize("kind", settings.KINDS, ids=lambda kind: kind.name)
def test_the_examples_of_a_kind_of_value_are_accepted(kind: settings.Kind) -> None:
    for example in kind.accepted:
        assert TypeAdapter(kind.hint).validate_python(example, strict=True) == example


def test_the_refusal_that_the_page_shows_is_of_the_file_that_it_shows() -> None:
    first, *_ = settings.BAD.read_text().splitlines()
    assert f"refused\n{first.removeprefix('# ')}\n" in FILES["docs/settings.md"]
