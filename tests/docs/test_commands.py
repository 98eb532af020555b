"""The commands that pages show are there: verbs and options of ./watchstack, targets and variables of make."""

import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "instrument" / "README.md"]
VERBS = cli.verbs()
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z0-9]+):", MAKEFILE, re.MULTILINE))
VARIABLES = {"ENV", "TARGET"}
SOURCES = ("checks", "cli", "docs", "review", "rules", "scaffold", "stacks", "toolchain")

FENCED = re.compile(r"^ *```(?P<language>[a-z]*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`]+)`")
# Of every verb, and of the command itself.
EVERYWHERE = {"--help", "--install-completion", "--show-completion"}


def _code(page: str) -> Iterator[str]:
    """What a page shows as code, line by line."""
    page = page.replace("\\\n", " ")
    for found in FENCED.finditer(page):
        yield from found["text"].splitlines()
    prose = FENCED.sub("", page)
    yield from (" ".join(code.split()) for code in INLINE.findall(prose))
    yield from (line for line in prose.splitlines() if line.startswith("    "))


def _commands(page: str, program: str) -> Iterator[list[str]]:
    """The words after a program, each time that it is shown, up to where the shell sees another command."""
    for line in _code(page):
        for found in re.finditer(rf"(?:^|&& |[;|(] ?|\$ |run: |- )\s*{re.escape(program)} ([^|;&#>`)]*)", line):
            yield shlex.split(re.sub(r"[\[\]']", "", found[1]))


def problems(page: str) -> list[str]:
    """What a page shows that there is not."""
    ours = [_verb_problem(words) for words in _commands(page, "./watchstack")]
    makes = [_make_problem(word) for words in _commands(page, "make") for word in words]
    return [problem for problem in [*ours, *makes] if problem]


def _verb_problem(words: list[str]) -> str:
    given = {word.partition("=")[0] for word in words if word.startswith("-")}
    if words[0].isupper() or words[0] in EVERYWHERE:
        return ""
    name = next((name for name in (words[0], " ".join(words[:2])) if name in VERBS), None)
    if name is None:
        return f"./watchstack {words[0]}"
    strange = given - cli.options(VERBS[name]).keys() - EVERYWHERE
    return f"./watchstack {name} {' '.join(sorted(strange))}" if strange else ""


def _make_problem(word: str) -> str:
    known = VARIABLES if "=" in word else TARGETS
    return "" if word.partition("=")[0] in known or word.isupper() else f"make {word}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_are_there(page: Path) -> None:
    assert problems(page.read_text()) == []


@pytest.mark.parametrize(
    ("shown", "problem"),
    [
        ("`./watchstack chekc -e dev`", "./watchstack chekc"),
        ("`./watchstack new thing`", "./watchstack new"),
        ("```sh\n./watchstack check --jsn   # --also\n```", "./watchstack check --jsn"),
        ("see\n\n    ./watchstack dashboards diff \\\n      --jso\n", "./watchstack dashboards diff --jso"),
        ("```\nmake upp ENV=dev\n```", "make upp"),
        ("`make up ENVIRONMENT=dev`", "make ENVIRONMENT=dev"),
        ("`./watchstack check\n--json` and make do", None),
        ("```sh\n./watchstack fire A \\\n  --timout 3 && make tools\n```", "./watchstack fire --timout"),
    ],
)
def test_a_command_that_is_not_there_is_seen(shown: str, problem: str | None) -> None:
    assert problems(shown) == ([problem] if problem else [])


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_answers_machines(name: str) -> None:
    assert "--json" in cli.options(VERBS[name])


@pytest.mark.parametrize("name", VERBS)
def test_the_page_of_the_verbs_says_which_exit_codes_there_are(name: str) -> None:
    source = inspect.getsource(VERBS[name].callback)
    section = re.search(rf"^## {name}$(.*?)(?=^## |\Z)", cli.page(), re.MULTILINE | re.DOTALL)
    assert section
    body = source.partition('"""')[2].partition('"""')[2]
    assert ("raise typer.Exit(" in body) == bool(re.search(r"[Ee]xit \d", section[1]))


def test_the_verbs_that_a_message_names_are_there() -> None:
    first = {name.split()[0] for name in VERBS}
    for source in (path for folder in SOURCES for path in (ROOT / folder).rglob("*.py")):
        named = set(re.findall(r"\./watchstack ([a-z]+)", source.read_text()))
        assert named <= first, source
