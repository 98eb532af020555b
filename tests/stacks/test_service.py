"""The vocabulary: where services listen and are found, and text that is the same each time."""

from stacks.service import Ground, to_yaml


def test_on_this_machine_everything_is_on_loopback_in_a_block_of_ports() -> None:
    ground = Ground(target="local", port_offset=10000)
    assert ground.listen(9090) == "127.0.0.1:19090"
    assert ground.url("prometheus", 9090, "/-/ready") == "http://127.0.0.1:19090/-/ready"


def test_on_an_engine_services_are_found_by_name() -> None:
    assert Ground(target="docker").url("prometheus", 9090) == "http://prometheus:9090"


def test_in_a_cluster_services_are_found_by_name_and_namespace() -> None:
    ground = Ground(target="kubernetes", namespace="monitoring", namespaces={"jaeger": "tracing"})
    assert ground.url("prometheus", 9090) == "http://prometheus.monitoring:9090"
    assert ground.url("jaeger", 16686) == "http://jaeger.tracing:16686"


def test_who_asks_from_elsewhere_may_have_an_address_for_each_port() -> None:
    hosts = {"jaeger:16686": "127.0.0.1:40001"}
    ground = Ground(target="kubernetes", namespace="monitoring", hosts=hosts)
    assert ground.url("jaeger", 16686) == "http://127.0.0.1:40001"


def test_yaml_has_sorted_keys_and_no_references() -> None:
    shared = {"b": 1, "a": 2}
    assert to_yaml({"y": shared, "x": shared}) == "x:\n  a: 2\n  b: 1\ny:\n  a: 2\n  b: 1\n"
