"""One Docker Engine for all that is asked of containers here."""

from collections.abc import Iterator

import pytest
from standins.rehearse import Ground, ground


@pytest.fixture(scope="package")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """An engine with all it needs, and nothing on it at the end."""
    with ground(tmp_path_factory.mktemp("ground") / "own") as found:
        yield found
        assert found.client.containers.list(all=True) == []
