import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from toolchain import interrupted, pulumi
from toolchain.programs import Absent, Installed, ProgramMissing, Route
from toolchain.pulumi import StackRefused, commands, environment, stack_file

ROOT = Path(__file__).parents[2]
DATA = Path(__file__).parent / "data" / "project"
SALT = "v1:c2FsdA==:v1:bm9uY2U=:c2VjcmV0"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A Pulumi project with the committed environments `plain` and `team`, of which `team` has a salt."""
    root = tmp_path / "my clone"
    (root / "stacks" / "env").mkdir(parents=True)
    for name, place in {
        "Pulumi.yaml": "Pulumi.yaml",
        "program.py": "__main__.py",
        "Pulumi.plain.yaml": "stacks/env/Pulumi.plain.yaml",
        "Pulumi.team.yaml": "stacks/env/Pulumi.team.yaml",
    }.items():
        shutil.copy(DATA / name, root / place)
    return root


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that was built here."""
    use_engine("build", monkeypatch)


def use_engine(route: Route, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Installed("pulumi", "3.0.0", route, Path("/tools/pulumi"), {})
    monkeypatch.setattr(pulumi, "find", lambda _product: found)


def user(project: Path, **more: str) -> dict[str, str]:
    return {"HOME": str(project.parent), "PATH": "/usr/bin", **more}


@pytest.mark.usefixtures("engine")
def test_the_engine_comes_first_on_the_path_then_the_python_environment(project: Path) -> None:
    path = environment(project, user(project))["PATH"].split(os.pathsep)
    assert path == ["/tools/pulumi/bin", str(Path(sys.executable).parent), "/usr/bin"]


def test_only_a_built_engine_is_kept_from_fetching_plugins(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setting = "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"
    use_engine("build", monkeypatch)
    assert environment(project, user(project))[setting] == "true"
    use_engine("release", monkeypatch)
    assert setting not in environment(project, user(project))


def test_an_official_pulumi_on_the_path_will_do(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi, "find", lambda product: Absent(product, "not installed"))
    with pytest.raises(ProgramMissing, match="run: make tools"):
        environment(project, user(project, PATH=str(project)))
    (project / "pulumi").touch(mode=0o755)
    path = environment(project, user(project, PATH=str(project)))["PATH"].split(os.pathsep)
    assert path == [str(Path(sys.executable).parent), str(project)]


@pytest.mark.usefixtures("engine")
def test_byte_code_is_written_and_nobody_asks_for_updates(project: Path) -> None:
    env = environment(project, user(project, PYTHONDONTWRITEBYTECODE="1"))
    assert "PYTHONDONTWRITEBYTECODE" not in env
    assert env["PULUMI_SKIP_UPDATE_CHECK"] == "1"


@pytest.mark.usefixtures("engine")
def test_state_and_passphrase_of_the_clone_are_for_its_owner_only(project: Path) -> None:
    env = environment(project, user(project))
    state, passphrase = project / ".watchstack" / "state", project / ".watchstack" / "passphrase"
    assert env["PULUMI_BACKEND_URL"] == f"file://{state}"
    assert env["PULUMI_CONFIG_PASSPHRASE_FILE"] == str(passphrase)
    assert (state.stat().st_mode & 0o777, passphrase.stat().st_mode & 0o777) == (0o700, 0o600)
    written = passphrase.read_text()
    assert len(written) >= 43
    environment(project, user(project))
    assert passphrase.read_text() == written


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    "login",
    [{"PULUMI_BACKEND_URL": "s3://team"}, {"PULUMI_ACCESS_TOKEN": "pul-token"}],
    ids=["backend", "token"],
)
def test_a_login_in_the_environment_is_left_alone(project: Path, login: dict[str, str]) -> None:
    assert environment(project, user(project, **login)).get("PULUMI_BACKEND_URL") == login.get("PULUMI_BACKEND_URL")
    assert not (project / ".watchstack" / "state").exists()


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(("current", "own"), [("https://api.pulumi.com", True), ("", False)])
def test_a_login_of_the_pulumi_cli_is_left_alone(project: Path, current: str, own: bool) -> None:
    home = project.parent / "pulumi-home"
    home.mkdir()
    (home / "credentials.json").write_text(json.dumps({"current": current}))
    assert ("PULUMI_BACKEND_URL" not in environment(project, user(project, PULUMI_HOME=str(home)))) == own


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("name", ["PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"])
def test_a_passphrase_of_the_user_is_left_alone(project: Path, name: str) -> None:
    env = environment(project, user(project, **{name: ""}))
    assert {key: value for key, value in env.items() if "PASSPHRASE" in key} == {name: ""}
    assert not (project / ".watchstack" / "passphrase").exists()


def test_a_stack_file_without_a_salt_is_used_through_a_copy_that_keeps_its_salt(project: Path) -> None:
    file, copy = stack_file("plain", project)
    assert file == copy == project / ".watchstack" / "env" / "Pulumi.plain.yaml"
    assert copy.read_text() == (DATA / "Pulumi.plain.yaml").read_text()
    copy.write_text(f"encryptionsalt: {SALT}\nconfig:\n  watchstack:word: from an earlier run\n")
    stack_file("organization/watchstack/plain", project)
    assert copy.read_text() == (DATA / "Pulumi.plain.yaml").read_text() + f"encryptionsalt: {SALT}\n"


def test_a_stack_file_with_a_salt_is_used_as_it_is(project: Path) -> None:
    file, _ = stack_file("team", project)
    assert file == project / "stacks" / "env" / "Pulumi.team.yaml"
    assert file.read_text() == (DATA / "Pulumi.team.yaml").read_text()


def test_an_unknown_stack_is_met_with_those_there_are(project: Path) -> None:
    with pytest.raises(StackRefused, match=r"no file stacks/env/Pulumi\.lokal\.yaml; known: plain, team$"):
        commands("lokal", ["up"], project)


def test_an_environment_that_somebody_is_at_is_refused_with_who_it_is(project: Path) -> None:
    env = {"PULUMI_BACKEND_URL": f"file://{project}"}
    name = pulumi.project(project)
    place = project / ".pulumi" / "locks" / "organization" / name / "plain"
    place.mkdir(parents=True)
    held = {"pid": 7, "username": "ana", "hostname": "elsewhere", "timestamp": "2026-11-28T16:31:59Z"}
    (place / "one.json").write_text(json.dumps(held))
    pulumi.demand_alone("team", env, project)
    said = "environment plain is being worked on by ana on elsewhere, process 7, since 2026-11-28 16:31:59 UTC; wait"
    with pytest.raises(StackRefused, match=f"^{said}.* -- cancel` takes its lock away$"):
        pulumi.demand_alone("organization/x/plain", env, project)


def test_a_stack_whose_file_is_gone_can_be_taken_down_with_the_copy_and_nothing_else(project: Path) -> None:
    stack_file("plain", project)
    copy = project / ".watchstack" / "env" / "Pulumi.plain.yaml"
    (project / "stacks" / "env" / "Pulumi.plain.yaml").unlink()
    [destroy] = commands("plain", ["destroy", "--yes"], project)
    assert destroy[-2:] == ["--config-file", str(copy)]
    with pytest.raises(StackRefused, match="has no file"):
        commands("plain", ["up"], project)


def test_a_copy_is_made_of_what_the_state_tells_where_no_stack_file_is(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = {"secrets_providers": {"type": "passphrase", "state": {"salt": SALT}}}
    monkeypatch.setattr(pulumi, "_deployment", lambda _stack, _env: state)
    pulumi.revive("pr-7", {}, project)
    assert (
        project / ".watchstack" / "env" / "Pulumi.pr-7.yaml"
    ).read_text() == f"encryptionsalt: {SALT}\nconfig: {{}}\n"
    pulumi.revive("plain", {}, project)
    assert not (project / ".watchstack" / "env" / "Pulumi.plain.yaml").exists()


def test_only_the_copy_is_where_pulumi_removes_stack_files(project: Path) -> None:
    beside_copy = ["pulumi", "-C", str(project / ".watchstack" / "env"), "stack", "rm", "--yes"]
    assert commands("team", ["stack", "rm", "--yes"], project) == [
        [*beside_copy, "--stack", "team", "--remove-backups"]
    ]
    destroy, remove = commands("team", ["destroy", "--yes", "--remove"], project)
    assert "--remove" not in destroy
    assert remove == [*beside_copy, "--stack", "team", "--remove-backups"]


RUN = "import sys, pathlib; from toolchain.pulumi import main; main(sys.argv[2:], pathlib.Path(sys.argv[1]))"


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line, on this project; with no login and no passphrase of the user."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
    env |= {"PULUMI_HOME": str(project.parent / "pulumi-home"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", RUN, str(project), *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.engine
def test_an_environment_comes_up_stays_unchanged_and_leaves_nothing(project: Path) -> None:
    committed = project / "stacks" / "env" / "Pulumi.plain.yaml"
    up = run(project, "plain", "--", "up", "--yes", "--skip-preview")
    assert up.returncode == 0, up.stdout + up.stderr
    assert run(project, "plain", "--", "preview", "--expect-no-changes").returncode == 0
    assert json.loads(run(project, "plain", "--", "stack", "output", "word", "--json").stdout) == "quiet"
    kept = [file for file in (project / ".watchstack" / "state").rglob("plain*.json.zst") if file.is_file()]
    assert b'"quiet"' in b"".join(map(interrupted.plain, kept))
    assert b"nobody sees this" not in b"".join(map(interrupted.plain, kept))
    assert run(project, "plain", "--", "refresh", "--yes", "--expect-no-changes").returncode == 0
    assert run(project, "plain", "--", "destroy", "--yes").returncode == 0
    assert run(project, "plain", "--", "stack", "rm", "--yes").returncode == 0
    left = [file.name for file in (project / ".watchstack").rglob("*") if file.is_file()]
    assert [name for name in left if "plain" in name] == []
    assert committed.read_text() == (DATA / "Pulumi.plain.yaml").read_text()


@pytest.mark.engine
def test_destroy_with_remove_is_one_step_and_keeps_the_committed_file(project: Path) -> None:
    assert run(project, "plain", "--", "up", "--yes", "--skip-preview").returncode == 0
    down = run(project, "plain", "--", "destroy", "--yes", "--remove")
    assert down.returncode == 0, down.stdout + down.stderr
    assert not (project / ".watchstack" / "env" / "Pulumi.plain.yaml").exists()
    assert (project / "stacks" / "env" / "Pulumi.plain.yaml").read_text() == (DATA / "Pulumi.plain.yaml").read_text()


@pytest.mark.engine
def test_the_exit_code_and_the_words_are_those_of_pulumi(project: Path) -> None:
    (project / "__main__.py").write_text("raise SystemExit('no such word')\n")
    failed = run(project, "plain", "--", "up", "--yes", "--skip-preview")
    assert "no such word" in failed.stdout
    own = {"PULUMI_HOME": str(project.parent / "pulumi-home")}
    line = commands("plain", ["up", "--yes", "--skip-preview"], project)[-1]
    direct = subprocess.run(line, cwd=project, env=environment(project, os.environ | own), check=False)
    assert failed.returncode == direct.returncode != 0


def test_tidy_forgets_everything_once_no_stack_is_left(project: Path) -> None:
    own = project / ".watchstack"
    stacks = own / "state" / ".pulumi" / "stacks" / "watchstack"
    stacks.mkdir(parents=True)
    (own / "passphrase").write_text("open sesame")
    for name in ("local.json", "local.json.zst"):
        (stacks / name).write_text("{}")
        pulumi.tidy(project)
        assert (own / "passphrase").exists()
        (stacks / name).unlink()
    # `team` has values that only this passphrase opens.
    pulumi.tidy(project)
    assert (own / "passphrase").exists()
    (project / "stacks" / "env" / "Pulumi.team.yaml").unlink()
    pulumi.tidy(project)
    assert not own.exists()
