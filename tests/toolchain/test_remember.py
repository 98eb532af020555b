"""What is remembered is what would have been made."""

from pathlib import Path

import pytest
import yaml

from toolchain import remember

RULES = "groups:\n  - name: a\n    rules: [{record: 'a:b', expr: '1', labels: {c: d}}]\n"


@pytest.fixture(name="kept", autouse=True)
def _kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where it is kept: a cache with nothing in it."""
    monkeypatch.setenv("WATCHSTACK_CACHE", str(tmp_path))
    return tmp_path / "remembered"


@pytest.mark.parametrize("text", [RULES, f"{RULES}---\n- 0.5\n- null\n- true\n- ü\n", "", "a: &x [1]\nb: *x\n"])
def test_documents_are_the_same_the_second_time_and_need_no_parser(
    text: str, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = remember.documents(text)
    assert first == list(yaml.safe_load_all(text))
    assert len([*kept.iterdir()]) == 1
    monkeypatch.setattr(yaml, "load_all", lambda *_arguments, **_options: pytest.fail("parsed again"))
    assert remember.documents(text) == first


@pytest.mark.parametrize("text", ["day: 2026-01-02\n", "1: one\n", "a: .nan\n"])
def test_what_json_cannot_say_is_read_from_yaml_each_time(text: str, kept: Path) -> None:
    for _ in range(2):
        assert repr(remember.documents(text)) == repr(list(yaml.safe_load_all(text)))
    assert not kept.exists()


def test_what_is_no_yaml_is_not_kept(kept: Path) -> None:
    with pytest.raises(yaml.YAMLError):
        remember.documents("a: [")
    assert not kept.exists()


def test_another_text_is_another_result() -> None:
    assert [remember.documents(f"a: {number}") for number in (1, 2, 1)] == [[{"a": 1}], [{"a": 2}], [{"a": 1}]]
