"""The tree of routes that profiles make: who hears of what, and by which way."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import MakePlan

from apps import Profile
from apps.routing import Told
from stacks import routes, routing
from stacks.routing import Reach
from stacks.settings import Email
from stacks.strict import Refused, in_file, load

NOWHERE = Reach(
    services={}, generated=frozenset(), given=frozenset({"hook"}), email=None, heartbeat=False, capture=None
)
MAIL = Email.model_validate({"smarthost": "mail:587", "from": "a@example.org", "to": ("b@example.org",)})


def _profile(system: str, receivers: list[Any], routes: list[Any], **more: Any) -> Profile:
    data = {
        "system": system,
        "title": system,
        "packs": [],
        "dashboards": [],
        "jobs": [],
        "routing": {"receivers": receivers, "routes": routes, **more},
    }
    return load(Profile, data, "apps/test.yaml: ")


SHOP = _profile(
    "shop",
    [{"name": "urgent", "webhook": {"url": "hook"}}, {"name": "storage", "webhook": {"url": "hook"}}],
    [
        {"receiver": "storage", "component": ["database", "disk"], "continue": True},
        {"receiver": "urgent", "severity": "critical", "group_wait": "0s"},
    ],
)
BRIDGED = _profile(
    "bridged",
    [{"name": "bridge", "webhook": {"service": "bridge", "port": 8001, "path": "/alerts", "token": "bridge-token"}}],
    [{"receiver": "bridge", "everything": True, "continue": True, "group_wait": "10s"}],
)
MAILED = _profile("mailed", [{"name": "people", "email": {}}], [{"receiver": "people"}])


def _route(config: dict[str, Any], *path: int) -> Any:
    node = config["route"]
    for step in path:
        node = node["routes"][step]
    return node


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ({"system": "shop", "severity": "critical", "component": "api"}, ["urgent"]),
        ({"system": "shop", "severity": "critical", "component": "disk"}, ["storage", "urgent"]),
        ({"system": "shop", "severity": "warning", "component": "api"}, []),
        # The platform's alerts go where those of the first system go.
        ({"system": "platform", "severity": "critical"}, ["urgent"]),
    ],
)
def test_an_alert_is_heard_by_every_route_that_it_matches_until_one_does_not_continue(
    labels: dict[str, str], receivers: list[str]
) -> None:
    assert routes.hears([SHOP], labels) == receivers


def test_an_alert_of_a_system_that_nobody_watches_is_refused() -> None:
    with pytest.raises(Refused, match="has system 'pay', which nobody routes; routed: platform, shop"):
        routes.hears([SHOP], {"system": "pay"})


def test_who_hears_everything_comes_first_and_hears_the_watchdog_often() -> None:
    config = routing.config([BRIDGED], NOWHERE)
    everything = _route(config, 0)
    assert (everything["receiver"], everything["continue"]) == ("bridge", True)
    assert "matchers" not in everything
    assert _route(config, 0, 0)["matchers"] == ['alertname="Watchdog"']
    assert _route(config, 0, 0)["repeat_interval"] == "1m"
    # And nobody is told a second time by the system's own route.
    assert _route(config, 2)["receiver"] == routes.DELIVERED
    assert _receiver(config, routes.DELIVERED) == {"name": routes.DELIVERED}


def test_a_route_of_components_matches_any_of_them_and_goes_on() -> None:
    storage = _route(routing.config([SHOP], NOWHERE), 1, 0)
    assert storage == {"receiver": "storage", "matchers": ['component=~"database|disk"'], "continue": True}


def test_a_webhook_goes_to_the_secret_address_where_given_and_else_to_the_service_with_its_token() -> None:
    at = Reach(**{**vars(NOWHERE), "services": {"bridge:8001": "127.0.0.1:18001"}})
    [made] = _receiver(routing.config([BRIDGED], at), "bridge")["webhook_configs"]
    assert made["url"] == "http://127.0.0.1:18001/alerts"
    assert made["http_config"] == {"authorization": {"credentials_file": "../secrets/bridge-token"}}
    [made] = _receiver(routing.config([SHOP], NOWHERE), "urgent")["webhook_configs"]
    assert made["url_file"] == "secrets/hook"
    assert routing.secret_names([SHOP, BRIDGED], at) == ["bridge-token", "hook"]


def test_mail_goes_out_where_there_is_a_mail_server() -> None:
    assert routing.unreachable([MAILED], NOWHERE) == [
        "apps/mailed.yaml: receiver people is told by mail alone; give watchstack:email"
    ]
    mailing = Reach(**{**vars(NOWHERE), "email": MAIL})
    config = routing.config([MAILED], mailing)
    assert config["global"] == {"smtp_smarthost": "mail:587", "smtp_from": "a@example.org", "smtp_require_tls": True}
    [made] = _receiver(config, "people")["email_configs"]
    assert made["to"] == "b@example.org"
    assert routing.unreachable([MAILED], mailing) == []


def test_a_profile_may_say_what_alerts_must_share_for_one_to_silence_the_other() -> None:
    own = _profile("own", [{"name": "x", "webhook": {"url": "hook"}}], [{"receiver": "x"}], inhibit_equal=["service"])
    rules: Any = routing.config([own], NOWHERE)["inhibit_rules"]
    usual, ours = rules[:2]
    assert usual["target_matchers"] == ['severity=~"warning|info"', 'system!~"platform|own"']
    assert (ours["target_matchers"][1], ours["equal"]) == ('system="own"', ["service"])


SHOP_FILE = Path(__file__).parents[1] / "apps" / "good" / "shop.yaml"


@pytest.fixture(name="shop")
def _shop() -> Profile:
    """The profile with every kind of receiver."""
    return load(Profile, yaml.safe_load(SHOP_FILE.read_text()), in_file("shop.yaml", SHOP_FILE))


def test_every_kind_of_receiver_reads_its_secret_from_a_file(shop: Profile) -> None:
    config = routing.config([shop], NOWHERE)
    pager, chat, store = (_receiver(config, name) for name in ("pager", "chat", "store"))
    [pagerduty], [telegram] = pager["pagerduty_configs"], pager["telegram_configs"]
    assert pagerduty["routing_key_file"] == "secrets/shop-pager"
    assert (telegram["bot_token_file"], telegram["chat_id"]) == ("secrets/shop-bot", -1001234567890)
    assert [
        chat[key][0][file]
        for key, file in (
            ("discord_configs", "webhook_url_file"),
            ("slack_configs", "api_url_file"),
            ("msteamsv2_configs", "webhook_url_file"),
        )
    ] == ["secrets/shop-discord", "secrets/shop-slack", "secrets/shop-teams"]
    [webhook] = store["webhook_configs"]
    assert (webhook["url_file"], webhook["send_resolved"]) == ("secrets/shop-store", False)
    assert routing.secret_names([shop], NOWHERE) == [
        "shop-bot",
        "shop-discord",
        "shop-pager",
        "shop-slack",
        "shop-store",
        "shop-teams",
        "shop-token",
    ]


def test_times_and_inhibitions_of_a_profile_are_alertmanagers(shop: Profile) -> None:
    config: Any = routing.config([shop], NOWHERE)
    nights, _ = config["time_intervals"]
    assert nights == {
        "name": "nights",
        "time_intervals": [
            {
                "times": [
                    {"start_time": "22:00", "end_time": "24:00"},
                    {"start_time": "00:00", "end_time": "06:00"},
                ],
                "location": "Europe/Vienna",
            }
        ],
    }
    desk = _route(config, 1, 2)
    assert (desk["matchers"], desk["active_time_intervals"]) == (['severity="warning"', 'team="sales"'], ["office"])
    assert config["inhibit_rules"][-1] == {
        "name": "cold-cache-slows-the-api",
        "source_matchers": ['system="shop"', 'alertname="LowCacheHitRate"', 'watchstack_drill=""'],
        "target_matchers": [
            'system="shop"',
            'alertname=~"SlowAPIResponses|HighDatabaseLatency"',
            'severity="warning"',
        ],
        "equal": ["system", "zone"],
    }


def test_an_environment_may_tell_a_receiver_in_another_way(shop: Profile) -> None:
    told = Told.model_validate({"webhook": {"url": "hook"}})
    changed = routing.chosen(shop, {"chat": told})
    assert {*_receiver(routing.config([changed], NOWHERE), "chat")} == {"name", "webhook_configs"}
    assert changed.routing.routes == shop.routing.routes
    assert routing.unknown([shop], ["chatt"]) == ["watchstack:receivers.chatt: no such receiver; did you mean chat?"]


def test_a_name_is_one_thing_in_an_environment(shop: Profile) -> None:
    other = _profile("other", [{"name": "chat", "webhook": {"url": "hook"}}], [{"receiver": "chat"}])
    assert routing.clashes([shop, other]) == [
        "apps/other.yaml: receiver chat: apps/shop.yaml has another one of this name"
    ]
    twin = shop.model_copy(update={"system": "twin"})
    assert routing.clashes([shop, twin]) == []


def _receiver(config: dict[str, Any], name: str) -> Any:
    return next(receiver for receiver in config["receivers"] if receiver["name"] == name)


def test_mail_may_go_to_the_capture_receiver_at_its_own_port_and_without_tls(make_plan: MakePlan) -> None:
    mail = {"smarthost": "capture", "from": "a@example.org", "to": ["b@example.org"]}
    made = make_plan(systems={"tdd-project": {"workload": True}}, email=mail)
    found = made.find("alertmanager")
    assert found
    config = yaml.safe_load(next(file.text for file in found.files if file.path.endswith(".yml")))
    assert config["global"]["smtp_smarthost"] == "127.0.0.1:19025"
    assert config["global"]["smtp_require_tls"] is False
    assert "smtp=127.0.0.1:19025" in next(service for service in made.services if service.name == "capture").args


def test_a_test_notification_silences_nothing_that_is_real() -> None:
    rules: Any = routing.config([SHOP], NOWHERE)["inhibit_rules"]
    assert rules
    assert all('watchstack_drill=""' in rule["source_matchers"] for rule in rules)


@pytest.mark.parametrize(
    ("labels", "slowest"),
    [
        # `storage` waits as the routing of the profile does, and `urgent` for nothing: five minutes between two.
        ({"system": "shop", "severity": "critical", "component": "disk"}, 300),
        ({"system": "slow", "severity": "warning"}, 900),
        ({"system": "slow", "severity": "critical"}, 600),
        ({"system": "bridged"}, 300),
    ],
)
def test_the_slowest_of_those_who_hear_it_is_known(labels: dict[str, str], slowest: float) -> None:
    slow = _profile(
        "slow",
        [{"name": "late", "webhook": {"url": "hook"}}],
        [
            {"receiver": "late", "severity": "warning", "group_wait": "15m"},
            {"receiver": "late", "severity": "critical", "group_wait": "0s"},
        ],
        group_interval="10m",
    )
    assert routes.slowest([SHOP, BRIDGED, slow], labels) == slowest
