import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import _jsonnet

import dashboards
from benchmarks.jsonnet import COPIES, Mixin, counted, dashboards_text, mixins_text

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "dashboards" / "golden"
SHOP = Mixin(
    product="shop",
    module="example.invalid/shop",
    folder="mixin",
    parts=("config.libsonnet", "alerts.libsonnet"),
    selector="selector",
)


def evaluated(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_jsonnet.evaluate_snippet("test", text))
    return found


def fields(value: Any, path: str = "") -> Iterator[str]:
    """Where the fields of a JSON value are; of a list, those of its first item."""
    if isinstance(value, list):
        yield from fields(value[0], f"{path}[]") if value else ()
    elif isinstance(value, dict):
        for key, item in value.items():
            yield f"{path}.{key}"
            yield from fields(item, f"{path}.{key}")


def test_a_plain_panel_has_the_fields_and_queries_of_ours() -> None:
    theirs = evaluated(dashboards_text([dashboards.build("boss-workflow")]))["boss-workflow.json"]
    ours = json.loads((GOLDEN / "boss-workflow.json").read_text())
    assert sorted(theirs) == sorted(ours)
    assert sorted(fields(theirs["panels"][0])) == sorted(fields(ours["panels"][0]))
    for one, another in zip(theirs["panels"], ours["panels"], strict=True):
        for key in ("id", "title", "gridPos", "links"):
            assert one[key] == another[key]
        assert [each["expr"] for each in one["targets"]] == [each["expr"] for each in another["targets"]]


def test_every_board_is_written_with_all_its_panels() -> None:
    theirs = evaluated(dashboards_text([dashboards.build(name) for name in dashboards.names()]))
    assert {name: len(each["panels"]) for name, each in theirs.items()} == {
        file.name: len(json.loads(file.read_text())["panels"]) for file in GOLDEN.glob("*.json")
    }


def test_each_copy_of_a_mixin_has_its_own_selector() -> None:
    files = evaluated(mixins_text([(SHOP, HERE / "mixin")]))
    assert sorted(files) == sorted(f"shop-{copy}-{kind}.json" for copy in range(COPIES) for kind in ("alerts", "rules"))
    alerts = [files[f"shop-{copy}-alerts.json"]["groups"][0]["rules"][0]["expr"] for copy in range(COPIES)]
    assert alerts == [f'up{{job="copy-{copy}"}} == 0' for copy in range(COPIES)]


def test_a_whole_mixin_has_its_dashboards_too() -> None:
    files = evaluated(mixins_text([(SHOP, HERE / "mixin")], whole=True))
    assert len(files) == 3 * COPIES
    assert files["shop-1-shop.json"] == {"panels": [{"expr": 'sum(orders_total{job="copy-1"})'}]}


def test_panels_of_collapsed_rows_and_rules_of_all_groups_count() -> None:
    assert counted(HERE / "rendered") == (4, 4)
