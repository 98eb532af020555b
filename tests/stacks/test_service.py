"""The vocabulary: where services listen and are found, and text that is the same each time."""

import pytest

from stacks.service import Ground, to_yaml


def test_on_this_machine_everything_is_on_loopback_in_a_block_of_ports() -> None:
    ground = Ground(target="local", port_offset=10000)
    assert ground.listen(9090) == "127.0.0.1:19090"
    assert ground.url("prometheus", 9090, "/-/ready") == "http://127.0.0.1:19090/-/ready"


@pytest.mark.parametrize("target", ["docker", "kubernetes"])
def test_elsewhere_services_are_found_by_name(target: str) -> None:
    ground = Ground(target=target)  # type: ignore[arg-type]  # pytest gives a str
    assert ground.url("prometheus", 9090) == "http://prometheus:9090"


def test_yaml_has_sorted_keys_and_no_references() -> None:
    shared = {"b": 1, "a": 2}
    assert to_yaml({"y": shared, "x": shared}) == "x:\n  a: 2\n  b: 1\ny:\n  a: 2\n  b: 1\n"
