"""./watchstack diff: exit codes, the revision that it compares with, and what it refuses."""

import json
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.app import app
from review import revisions
from review.facts import FORMAT
from stacks.strict import Refused

ROOT = Path(__file__).parents[2]
_STACK = (ROOT / "stacks" / "env" / "Pulumi.local.yaml").read_text()


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["diff", *arguments])


def _git(root: Path, *arguments: str) -> str:
    own = ("git", "-C", root, "-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run((*own, *arguments), check=True, capture_output=True, text=True).stdout


def _commit(root: Path, environments: dict[str, object]) -> str:
    """A revision whose code says that these are its environments."""
    (root / "review").mkdir(exist_ok=True)
    said = json.dumps({"format": FORMAT, "environments": environments})
    (root / "review" / "facts.py").write_text(f"FORMAT = {FORMAT}\nprint({said!r})\n")
    _git(root, "add", "-A")
    _git(root, "commit", "-q", "-m", "a revision", "--allow-empty")
    return _git(root, "rev-parse", "HEAD").strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository on `main` with one commit that has no environments, and beside it the one stack file `here`."""
    root, files = tmp_path / "repository", tmp_path / "files"
    root.mkdir()
    files.mkdir()
    _git(root, "init", "-q", "-b", "main")
    _commit(root, {})
    (files / "Pulumi.here.yaml").write_text(_STACK)
    monkeypatch.setattr(revisions, "ROOT", root)
    monkeypatch.setattr("stacks.settings.STACK_FILES", files)
    return root


def _durable(repository: Path) -> None:
    file = repository.parent / "files" / "Pulumi.here.yaml"
    text = _STACK.replace("lifecycle: ephemeral", "lifecycle: durable")
    file.write_text(text.replace("heartbeat: {capture: heartbeat}", "heartbeat: {file: /run/secrets/heartbeat}"))


def test_a_new_environment_that_is_not_durable_exits_with_0(repository: Path) -> None:
    done = _run("--base", "main", "--json")
    assert done.exit_code == 0
    said = json.loads(done.stdout)
    assert said["base"] == _git(repository, "rev-parse", "main").strip()
    assert said["touches_production"] == []
    assert said["environments"]["here"]["what"] == "added"
    assert said["environments"]["here"]["has"]["alerts"] > 40


def test_a_durable_environment_that_is_touched_exits_with_3(repository: Path) -> None:
    _durable(repository)
    done = _run("--base", "main")
    assert done.exit_code == 3
    assert "Touches production: here." in done.stdout


def test_the_same_plan_is_no_change(repository: Path) -> None:
    from review import facts

    commit = _commit(repository, facts.of_tree()["environments"])
    done = _run("--base", commit, "--markdown")
    assert (done.exit_code, done.stdout) == (
        0,
        f"**Nothing changes in any environment.** Compared with `{commit[:12]}`.\n",
    )


def test_a_revision_without_this_format_is_asked_by_the_code_that_is_here(repository: Path) -> None:
    (repository / "review" / "facts.py").write_text("FORMAT = 0\nraise SystemExit('not asked')\n")
    _git(repository, "add", "-A")
    _git(repository, "commit", "-q", "-m", "another format")
    done = _run("--base", "main")
    # Beside it, there is nothing that it could ask.
    assert done.exit_code == 2
    assert "its code cannot be asked what it plans; it says: ModuleNotFoundError: No module named" in done.stderr


@pytest.mark.usefixtures("repository")
def test_a_base_that_is_not_in_the_repository_is_named() -> None:
    done = _run("--base", "nowhere")
    assert done.exit_code == 2
    assert "--base nowhere: no such revision in this repository; run `git fetch`" in done.stderr


def test_of_a_shallow_clone_it_is_said_how_to_get_the_rest(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _git(repository, "rev-parse", "HEAD").strip()
    _commit(repository, {})
    _git(tmp_path, "clone", "-q", "--depth", "1", f"file://{repository}", "shallow")
    monkeypatch.setattr(revisions, "ROOT", tmp_path / "shallow")
    done = _run("--base", before, "--json")
    assert done.exit_code == 2
    [line] = json.loads(done.stdout)["refused"]
    assert line.endswith("this clone is shallow: run `git fetch --unshallow`, or check out with `fetch-depth: 0`")


@pytest.mark.usefixtures("repository")
def test_an_option_is_no_revision() -> None:
    done = _run("--base=--all")
    assert done.exit_code == 2
    assert "--base --all: no such revision" in done.stderr


def test_without_a_repository_there_is_nothing_to_compare_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revisions, "ROOT", tmp_path)
    done = _run()
    assert done.exit_code == 2
    assert f"{tmp_path} is not a git repository" in done.stderr


@pytest.mark.usefixtures("repository")
def test_an_environment_without_a_stack_file_is_named() -> None:
    done = _run("-e", "hree", "-e", "here", "--base", "main")
    assert done.exit_code == 2
    assert "no stack file stacks/env/Pulumi.hree.yaml in either revision; did you mean here?" in done.stderr


def test_a_stack_file_that_cannot_be_used_is_refused(repository: Path) -> None:
    (repository.parent / "files" / "Pulumi.here.yaml").write_text(_STACK.replace("retention: 24h", "retention: -1h", 1))
    done = _run("--base", "main")
    assert done.exit_code == 2
    assert 'Pulumi.here.yaml:9: watchstack:prometheus.retention: "-1h" is not accepted' in done.stderr


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize(
    ("preview", "said"),
    [
        ("here", "--preview 'here': give ENV=FILE"),
        ("here=/nowhere", "--preview here=/nowhere: cannot be read: No such"),
    ],
)
def test_a_preview_that_cannot_be_used_is_named(preview: str, said: str) -> None:
    done = _run("--markdown", "--preview", preview)
    assert done.exit_code == 2
    assert said in done.stderr


@pytest.mark.usefixtures("repository")
def test_a_preview_without_markdown_is_refused(tmp_path: Path) -> None:
    (tmp_path / "preview").write_text("+ text\n")
    assert (
        "--preview: is folded under what --markdown says; give both"
        in _run("--preview", f"here={tmp_path / 'preview'}").stderr
    )
    done = _run("--base", "main", "--markdown", "--preview", f"here={tmp_path / 'preview'}")
    assert "<summary><code>pulumi preview</code> of here</summary>\n\n```\n+ text\n```" in done.stdout


def test_the_base_is_where_the_branch_left_main(repository: Path) -> None:
    first = _git(repository, "rev-parse", "HEAD").strip()
    _git(repository, "checkout", "-q", "-b", "work")
    _commit(repository, {})
    assert revisions.default_base(repository) == first


def test_the_first_commit_has_none_before_it(repository: Path) -> None:
    with pytest.raises(Refused, match="--base: the last commit of main is the first one; name another revision"):
        revisions.default_base(repository)


def test_on_main_the_base_is_the_commit_before_or_the_last_one_under_edits(repository: Path) -> None:
    first = _git(repository, "rev-parse", "HEAD").strip()
    second = _commit(repository, {"more": {}})
    assert revisions.default_base(repository) == first
    (repository / "edited").touch()
    assert revisions.default_base(repository) == second
