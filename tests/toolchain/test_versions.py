import re
from pathlib import Path

import pytest

from stacks.strict import Refused
from toolchain import versions
from toolchain.versions import GO, Module, Release, table

PLATFORMS = [("linux", "amd64"), ("linux", "arm64"), ("darwin", "amd64"), ("darwin", "arm64")]
MODULES = {module.folder: module for product in table().values() if product.build for module in product.build.modules}


@pytest.mark.parametrize("module", MODULES.values(), ids=list(MODULES))
def test_go_mod_pins_the_version_of_the_table(module: Module) -> None:
    path, version = module.module.split("@")
    text = (GO / module.folder / "go.mod").read_text(encoding="utf-8")
    assert re.findall(rf"^(?:require)?\s*{re.escape(path)} (\S+)$", text, re.MULTILINE) == [version]


@pytest.mark.parametrize("module", MODULES.values(), ids=list(MODULES))
def test_go_mod_holds_the_modules_that_files_are_copied_from(module: Module) -> None:
    text = (GO / module.folder / "go.mod").read_text(encoding="utf-8")
    assert [carrier for carrier in module.copies.values() if f"\t{carrier} v" not in text] == []


# Programs that nobody runs in a container.
BARE = {
    "actionlint",
    "alertroutes",
    "etcd",
    "fakes3",
    "jsonnet",
    "kube-score",
    "kubeconform",
    "kubernetes",
    "lokitool",
    "pulumi",
    "registry",
}
IMAGES = {"busybox", "kube-state-metrics", "python"}


def test_every_go_module_is_in_the_table() -> None:
    assert sorted(MODULES) == sorted(folder.name for folder in GO.iterdir())


def test_a_build_of_another_version_than_the_release_says_so() -> None:
    other = {
        name: each.build.version for name, each in table().items() if each.build and each.build.version != each.version
    }
    assert other == {
        "alertmanager": "0.31.1",
        "jaeger": "2.13.0",
        "otelcol": "0.149.0",
        "pulumi": "3.255.0",
        "thanos": "0.42.4",
    }


def test_a_package_brings_the_programs_of_the_release() -> None:
    packaged = {name: each for name, each in table().items() if each.package}
    assert sorted(packaged) == ["postgres_exporter", "redis_exporter"]
    for product in packaged.values():
        assert product.package is not None
        assert tuple(product.package.programs) == product.names
        assert all(Path(path).is_absolute() for path in product.package.programs.values())


def _releases(system: str, arch: str) -> dict[str, Release]:
    return {name: product.release for name, product in table(system, arch).items() if product.release}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_release_addresses_are_complete_on_every_platform(platform: tuple[str, str]) -> None:
    for name, release in _releases(*platform).items():
        assert release.archive.startswith("https://")
        assert table()[name].version in release.archive
        assert release.checksums.startswith("https://")
        assert not re.search("[{}]", " ".join([release.archive, release.checksums, *release.programs.values()]))


def test_names_of_architectures_follow_the_publisher() -> None:
    linux, darwin = _releases("linux", "amd64"), _releases("darwin", "arm64")
    assert linux["pulumi"].archive.endswith("/pulumi-v3.272.0-linux-x64.tar.gz")
    assert darwin["pulumi"].archive.endswith("/pulumi-v3.272.0-darwin-arm64.tar.gz")
    assert darwin["loki"].programs == {"loki": "loki-darwin-arm64"}
    assert linux["prometheus"].archive.endswith("/prometheus-3.15.0.linux-amd64.tar.gz")
    assert _releases("linux", "arm64")["jaeger"].archive.endswith("/v2.22.0/jaeger-2.22.0-linux-arm64.tar.gz")
    assert linux["redis_exporter"].archive.endswith("/redis_exporter-v1.92.1.linux-amd64.tar.gz")


def test_a_product_without_a_release_is_built_and_names_its_programs() -> None:
    own = {name: product for name, product in table().items() if product.release is None and name not in IMAGES}
    assert {name: product.names for name, product in own.items()} == {
        "actionlint": ("actionlint",),
        "alertroutes": ("alertroutes",),
        "caddy": ("caddy",),
        "cadvisor": ("cadvisor",),
        "coredns": ("coredns",),
        "etcd": ("etcd",),
        "fakes3": ("fakes3",),
        "jsonnet": ("jsonnet",),
        "kube-score": ("kube-score",),
        "kubeconform": ("kubeconform",),
        "kubernetes": ("kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubelet"),
        "pause": ("pause",),
        "registry": ("registry",),
    }
    assert all(product.build and (product.optional or product.on_demand) for product in own.values())


def test_what_is_only_an_image_is_installed_by_nobody() -> None:
    assert {name for name, product in table().items() if not (product.release or product.build)} == IMAGES
    assert all(table()[name].on_demand and table()[name].image for name in IMAGES)


def test_every_image_says_how_it_is_run() -> None:
    products = table().values()
    assert [product.image for product in products if (product.image is None) != (product.container is None)] == []


def test_images_carry_the_version_users_run() -> None:
    tags = {
        name: product.image.rpartition(":")[2].removeprefix("v") for name, product in table().items() if product.image
    }
    assert tags == {name: table()[name].version for name in table() if name not in BARE}


def test_a_misspelt_key_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "_FILE", Path(__file__).parent / "data" / "misspelt.yaml")
    with pytest.raises(
        Refused, match=r"products\.greeter\.release\.checksum: unknown key 'checksum'; did you mean checksums"
    ):
        table.__wrapped__()
