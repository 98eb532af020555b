"""A local service's directory: as asked, whole or not at all, and nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest

from stacks.targets import directory
from stacks.targets.directory import Wanted


@pytest.fixture
def wanted(tmp_path: Path) -> Wanted:
    return Wanted(
        directory=tmp_path / "service",
        files={"etc/main.yml": "a: 1\n", "etc/rules/one.yml": "groups: []\n"},
        secrets={"secrets/webhook": "https://discord.example/1"},
        generated={"secrets/password": "admin"},
        volumes=("data",),
    )


def test_everything_is_put_and_a_second_time_changes_nothing(wanted: Wanted) -> None:
    changed = directory.put(wanted)
    assert changed == ["data", "etc/main.yml", "etc/rules/one.yml", "secrets/password", "secrets/webhook"]
    assert directory.put(wanted) == []


def test_secrets_are_readable_by_their_owner_alone(wanted: Wanted) -> None:
    directory.put(wanted)
    for name in ("webhook", "password"):
        assert (wanted.directory / "secrets" / name).stat().st_mode & 0o777 == 0o400
    assert (wanted.directory / "secrets").stat().st_mode & 0o077 == 0


def test_a_generated_secret_stays_what_it_is(wanted: Wanted) -> None:
    directory.put(wanted)
    password = (wanted.directory / "secrets" / "password").read_text()
    assert len(password) >= 32
    directory.put(replace(wanted, files={}))
    assert (wanted.directory / "secrets" / "password").read_text() == password


def test_services_that_name_the_same_generated_secret_get_the_same_value(wanted: Wanted, tmp_path: Path) -> None:
    other = replace(wanted, directory=tmp_path / "other", generated={"secrets/token": "admin"})
    directory.put(wanted)
    directory.put(other)
    value = (wanted.directory / "secrets" / "password").read_text()
    assert (other.directory / "secrets" / "token").read_text() == value
    another = replace(wanted, directory=tmp_path / "another", generated={"secrets/token": "another"})
    directory.put(another)
    assert (another.directory / "secrets" / "token").read_text() != value


@pytest.mark.parametrize("path", ["etc/main.yml", "secrets/webhook"])
def test_an_edit_by_hand_is_seen_and_undone(wanted: Wanted, path: str) -> None:
    directory.put(wanted)
    target = wanted.directory / path
    target.chmod(0o600)
    target.write_text("edited")
    assert directory.differences(wanted) == [path]
    assert directory.put(wanted) == [path]
    assert directory.differences(wanted) == []


def test_a_secret_that_others_may_read_is_seen(wanted: Wanted) -> None:
    directory.put(wanted)
    (wanted.directory / "secrets" / "webhook").chmod(0o444)
    assert directory.differences(wanted) == ["secrets/webhook"]


def test_a_file_that_nobody_asked_for_goes(wanted: Wanted) -> None:
    directory.put(wanted)
    fewer = replace(wanted, files={"etc/main.yml": "a: 1\n"})
    assert directory.put(fewer) == ["etc/rules/one.yml"]
    assert not (wanted.directory / "etc" / "rules" / "one.yml").exists()


def test_restore_puts_back_what_was_there(wanted: Wanted) -> None:
    directory.put(wanted)
    before = directory.configured(wanted.directory)
    directory.put(replace(wanted, files={"etc/main.yml": "a: 2\n", "etc/new.yml": "x"}))
    directory.restore(wanted.directory, before)
    assert directory.configured(wanted.directory) == before
    assert directory.differences(wanted) == []
