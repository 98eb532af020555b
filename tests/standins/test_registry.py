from pathlib import Path

import docker.errors
import pytest

from standins import images
from standins.engine import engine
from standins.images import ImageFailed
from standins.registry import RegistryFailed, registry

pytestmark = pytest.mark.e2e

# Of a registry that lives for seconds, on 127.0.0.1.
LOGIN = ("puller", "correct horse")


def test_only_its_users_push_and_pull(tmp_path: Path) -> None:
    with registry(tmp_path / "registry", {LOGIN[0]: LOGIN[1]}) as address:
        with pytest.raises(ImageFailed, match="was answered with 401"):
            images.push(address, [images.official("busybox")])
        with pytest.raises(ImageFailed, match="was answered with 401"):
            images.push(address, [images.official("busybox")], (LOGIN[0], "wrong"))
        images.push(address, [images.official("busybox")], LOGIN)
        with engine(tmp_path / "engine") as there:
            name = images.local(address, images.official("busybox"))
            with pytest.raises(docker.errors.APIError, match="no basic auth credentials"):
                there.client.images.pull(name)
            pulled = there.client.images.pull(name, auth_config={"username": LOGIN[0], "password": LOGIN[1]})
            assert pulled.tags == [name]
        assert LOGIN[1] not in "".join(file.read_text() for file in (tmp_path / "registry").glob("[!i]*"))


def test_two_registries_never_share_a_port(tmp_path: Path) -> None:
    with registry(tmp_path / "one") as address:
        port = int(address.rpartition(":")[2])
        with pytest.raises(RegistryFailed, match="address already in use"), registry(tmp_path / "two", port=port):
            pass
