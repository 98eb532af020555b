"""The comment: it fits, it is cut between lines, and it cannot be broken by what it shows."""

import pytest

from review import text
from review.compare import Change, Edit, Environment


def _changed(name: str, changes: int = 1, value: str = "1") -> Environment:
    made = tuple(
        Change(
            kind="alerts", name=f"x/A{i:05}", what="changed", edits=(Edit(name="for", old=(value,), new=(f"{i}m",)),)
        )
        for i in range(changes)
    )
    return Environment(name=name, what="changed", durable=False, changes=made)


def test_equal_changes_of_several_environments_are_told_once() -> None:
    said = text.markdown("base", [_changed("one"), _changed("two")], {})
    assert said.count("x/A00000") == 1
    assert "(one, two)" not in said  # everywhere
    assert "(one, two)" in text.markdown("base", [_changed("one"), _changed("two"), _changed("three", 0)], {})


def test_things_that_change_in_the_same_way_share_a_line() -> None:
    edit = Edit(name="told", old=("mail",), new=("pager",))
    changes = tuple(Change(kind="alerts", name=name, what="changed", edits=(edit,)) for name in ("x/B", "x/A"))
    said = text.markdown("base", [Environment(name="one", what="changed", durable=True, changes=changes)], {})
    assert "- `x/A`, `x/B`: told `pager`, no longer `mail`" in said.splitlines()
    assert said.startswith("**Touches production: one.**")


@pytest.mark.parametrize("limit", [2000, 5000, 60_000])
def test_a_comment_over_the_limit_is_cut_between_lines_and_says_so(limit: int) -> None:
    found = [_changed("one", 3000)]
    whole = text.markdown("base", found, {}, 10_000_000)
    cut = text.markdown("base", found, {"one": "+ a line\n" * 9000}, limit)
    assert len(whole.encode()) > 60_000
    assert len(cut.encode()) <= limit
    said = next(line for line in cut.splitlines() if line.startswith("…"))
    lines = whole.splitlines()
    shown = [line for line in cut.splitlines() if line.startswith("- ")]
    assert shown == [line for line in lines if line.startswith("- ")][: len(shown)]
    assert said.endswith("lines are cut here; `./watchstack diff` shows all.")


@pytest.mark.parametrize("width", range(1, 40))
def test_a_preview_that_is_cut_is_there_wherever_its_lines_end(width: int) -> None:
    cut = text.markdown("base", [], {"one": ("x" * width + "\n") * 9000}, 5000)
    assert "<code>pulumi preview</code> of one" in cut
    assert len(cut.encode()) <= 5000


def test_previews_share_what_room_there_is_and_their_fences_are_closed() -> None:
    previews = {"one": "+ a line of the preview\n" * 9000, "two": "~ short\n"}
    said = text.markdown("base", [_changed("one")], previews, 20_000)
    assert len(said.encode()) <= 20_000
    assert said.count("```") == 4
    assert said.count("<details>") == said.count("</details>") == 2
    assert "~ short" in said
    assert "the job that made the preview of one shows all" in said


def test_a_preview_cannot_end_its_fence_and_has_no_colours() -> None:
    said = text.markdown("base", [_changed("one")], {"one": "\x1b[32m+ text\x1b[0m\n````\n@everyone\n"})
    assert "`````\n+ text\n````\n@everyone\n`````" in said


def test_a_value_is_code_whatever_is_in_it() -> None:
    said = text.markdown("base", [_changed("one", value="a `b`\n@everyone")], {})
    assert "for `` a `b` @everyone `` → `0m`" in said


def test_of_two_long_values_the_difference_is_shown() -> None:
    old, new = "a" * 500 + "old" + "b" * 500, "a" * 500 + "new" + "b" * 500
    change = Change(kind="alerts", name="x/A", what="changed", edits=(Edit(name="expression", old=(old,), new=(new,)),))
    said = text.markdown("base", [Environment(name="one", what="changed", durable=False, changes=(change,))], {})
    assert f"expression `…{'a' * 40}old{'b' * 40}…` → `…{'a' * 40}new{'b' * 40}…`" in said


def test_no_change_is_one_sentence() -> None:
    assert text.markdown("0123456789abcdef", [], {}) == (
        "**Nothing changes in any environment.** Compared with `0123456789ab`.\n"
    )
