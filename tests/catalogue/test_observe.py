"""Observations: what an exposition says becomes a catalogue, and stays in it."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from conftest import MakePlan

import catalogue
from catalogue import observe
from stacks.plan import Plan
from stacks.service import ScrapeJob, ScrapeTarget
from stacks.strict import Refused

EXPOSITIONS = Path(__file__).parent / "expositions"
SHOP = (EXPOSITIONS / "shop.yaml").read_text()
DECLARED = "\ndeclared:" + SHOP.partition("\ndeclared:")[2]


class _Shop(BaseHTTPRequestHandler):
    text = ""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.text.encode())

    def log_message(self, *_: object) -> None:
        """Nothing: a test is silent."""


@pytest.fixture
def shop(make_plan: MakePlan) -> Iterator[Plan]:
    """A Plan with one job, whose program exposes `_Shop.text`."""
    server = HTTPServer(("127.0.0.1", 0), _Shop)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    target = ScrapeTarget(address=f"127.0.0.1:{server.server_port}", instance="shop:80")
    job = ScrapeJob(job="shop", system="platform", targets=(target,), program="shop")
    yield replace(make_plan(), jobs=(job, ScrapeJob(job="own", system="platform", targets=(target,))))
    server.shutdown()
    thread.join()
    server.server_close()


def _observe(shop: Plan, directory: Path, exposition: str) -> list[str]:
    _Shop.text = (EXPOSITIONS / exposition).read_text()
    return observe.observe(shop, directory)


def _file(directory: Path, text: str) -> Path:
    path = directory / "shop.yaml"
    path.write_text(text)
    return path


def test_what_was_seen_is_written_beside_what_was_declared(shop: Plan, tmp_path: Path) -> None:
    path = _file(tmp_path, f"product: shop\nversion: watchstack\n{DECLARED}")
    assert _observe(shop, tmp_path, "first.txt") == ["shop"]
    assert path.read_text() == SHOP
    assert _observe(shop, tmp_path, "first.txt") == []


def test_an_observation_adds_and_forgets_nothing(shop: Plan, tmp_path: Path) -> None:
    path = _file(tmp_path, SHOP)
    assert _observe(shop, tmp_path, "second.txt") == ["shop"]
    assert path.read_text() == SHOP.replace("[kind]", "[kind, shop]")
    assert _observe(shop, tmp_path, "first.txt") == []


def test_another_version_begins_anew(shop: Plan, tmp_path: Path) -> None:
    _file(tmp_path, SHOP.replace("version: watchstack", "version: '0'"))
    _observe(shop, tmp_path, "second.txt")
    known = catalogue.product("shop", tmp_path)
    assert known is not None
    assert (known.version, list(known.observed), list(known.declared)) == (
        "watchstack",
        ["shop_orders_total"],
        ["shop_lost_total"],
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [("type: counter, labels: [reason]", "type: gauge, labels: [reason]"), ("labels: [reason]", "labels: [weather]")],
)
def test_what_is_declared_otherwise_is_refused(shop: Plan, tmp_path: Path, before: str, after: str) -> None:
    path = _file(tmp_path, SHOP.replace(before, after))
    with pytest.raises(Refused, match=r"catalogue/shop.yaml: shop_lost_total is declared as a .*; correct it"):
        _observe(shop, tmp_path, "second.txt")
    assert path.read_text() == SHOP.replace(before, after)


def test_an_environment_that_is_not_up_is_refused(make_plan: MakePlan, tmp_path: Path) -> None:
    target = ScrapeTarget(address="127.0.0.1:9", instance="shop:80")
    job = ScrapeJob(job="shop", system="platform", targets=(target,), program="shop")
    with pytest.raises(Refused, match=r"http://127.0.0.1:9/metrics: .*; bring the environment up first"):
        observe.observe(replace(make_plan(), jobs=(job,)), tmp_path)
