"""The catalogues: each can be read, says where it is from, and has every metric that a shipped rule reads."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import promql_parser
import pytest

import apps
import catalogue
import rules
from catalogue import exposed
from rules import RuleFile
from stacks.strict import Refused
from toolchain.versions import table

HERE = Path(__file__).parent
# What nobody could run here, so that nothing of it is observed.
DECLARED = {"blackbox_exporter", "cadvisor", "grafana", "kube-state-metrics", "kubelet", "kubelet-cadvisor"}
# What the machines that wrote the catalogues had in place of the pinned version, and its package.
PACKAGED = {"postgres_exporter", "redis_exporter"}
FILES = [
    file
    for home in sorted(path.parent for path in rules.DIRECTORY.glob("*/v*/pack.yaml"))
    for file in rules.pack(home.parent.name, home.name, {}).files
    if file.engine == "prometheus"
]

each_product = pytest.mark.parametrize("name", catalogue.products())
each_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.path)


@each_product
def test_a_catalogue_can_be_read_and_is_of_the_product_that_it_is_called_after(name: str) -> None:
    known = catalogue.product(name)
    assert known is not None
    assert known.product == name
    assert bool(known.observed) == (name not in DECLARED)
    assert list(known.observed) == sorted(known.observed)


@each_product
def test_a_catalogue_is_of_the_pinned_version_or_of_the_build_that_stands_for_it(name: str) -> None:
    known, product = catalogue.product(name), table().get(name)
    assert known is not None
    if product is not None and name not in PACKAGED:
        assert known.version in {product.version, product.build.version if product.build else None}


@pytest.mark.parametrize("path", sorted((HERE / "bad").iterdir()), ids=lambda path: path.stem)
def test_a_bad_catalogue_is_refused_by_name(path: Path, tmp_path: Path) -> None:
    shutil.copy(path, tmp_path / "shop.yaml")
    with pytest.raises(Refused) as refused:
        catalogue.product("shop", tmp_path)
    message = path.read_text().splitlines()[0].removeprefix("# ")
    assert str(refused.value).startswith("catalogue/shop.yaml: ")
    assert message in str(refused.value)


def test_a_program_without_a_catalogue_has_none() -> None:
    assert catalogue.product("shop") is None


def _read(file: RuleFile) -> set[str]:
    """The metrics that the rules of a file read, but for what rules record."""
    exprs = [alert.expr for alert in file.alerts] + [record.expr for record in file.records]
    return {name for expr in exprs for name in _names(expr) if ":" not in name}


def _names(expr: str) -> Iterator[str]:
    found: list[str] = []

    def see(node: promql_parser.Expr) -> bool:
        selector = node.vector_selector if isinstance(node, promql_parser.MatrixSelector) else node
        if isinstance(selector, promql_parser.VectorSelector) and selector.name:
            found.append(selector.name)
        return True

    promql_parser.walk(promql_parser.parse(expr), see)
    return iter(found)


@each_file
def test_every_metric_that_a_rule_file_reads_is_of_a_catalogue_or_a_profile(file: RuleFile) -> None:
    """Also where no shipped environment has the file."""
    known = {name for program in catalogue.products() for name in exposed.of_catalogue(program)}
    known |= {name for system in apps.names() for name in exposed.of_profile(apps.profile(system))}
    assert _read(file) - known - {*exposed.OF_A_SCRAPE} == set()


@pytest.mark.parametrize("file", [file for file in FILES if file.metrics], ids=lambda file: file.path)
def test_a_rule_file_that_asks_for_metrics_asks_for_all_that_it_reads(file: RuleFile) -> None:
    assert set(file.metrics) == _read(file)
    assert list(file.metrics) == sorted(file.metrics)
