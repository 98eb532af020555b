"""./watchstack as a person and as a machine meet it: answers, refusals and exit codes, with nothing running."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.app import app
from cli.common import make_plan

STACKS = Path(__file__).parents[1] / "stacks"


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An environment that nobody brought up, on ports where nobody listens."""
    text = (STACKS / "good" / "least.yaml").read_text()
    (tmp_path / "Pulumi.nothing.yaml").write_text(f"{text}  watchstack:port_offset: 47000\n")
    monkeypatch.setattr("stacks.settings.STACK_FILES", tmp_path)
    return "nothing"


def test_every_verb_has_json() -> None:
    for verb in (
        "audit",
        "check",
        "diff",
        "doctor",
        "drift",
        "drill",
        "fire",
        "picture",
        "pin",
        "reap",
        "render",
        "selftest",
        "size",
        "status",
        "test",
    ):
        assert "--json" in _run(verb, "--help").output


def test_a_refused_stack_file_is_told_on_standard_error_and_exits_with_2() -> None:
    done = _run("check", "--stack-file", str(STACKS / "bad" / "unknown-key.yaml"))
    assert done.exit_code == 2
    assert "watchstack:promtheus: unknown key 'promtheus'; did you mean prometheus?" in done.stderr


def test_a_refused_stack_file_is_told_in_json() -> None:
    done = _run("check", "--json", "--stack-file", str(STACKS / "bad" / "negative-retention.yaml"))
    assert done.exit_code == 2
    [line] = json.loads(done.stdout)["refused"]
    assert line.startswith('negative-retention.yaml:7: watchstack:prometheus.retention: "-3d" is not accepted')


def test_an_environment_that_is_not_there_is_named() -> None:
    done = _run("status", "-e", "nowhere")
    assert done.exit_code == 2
    assert "Pulumi.nowhere.yaml: no such stack file" in done.stderr


def test_a_pack_that_is_not_there_is_named() -> None:
    done = _run("test", "platfrom", "--json")
    assert done.exit_code == 2
    assert json.loads(done.stdout) == {
        "refused": ["platfrom: no pack with rules for Prometheus; did you mean platform?"]
    }


def test_render_writes_every_file_with_secrets_as_references(nothing: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = _run("render", "-e", nothing, "--out", str(out), "--json")
    assert done.exit_code == 0
    written = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert json.loads(done.stdout) == {"files": written, "out": str(out)}
    assert (out / "alertmanager" / "secrets" / "discord-webhook").read_text().startswith("secret:discord-webhook")


def test_render_does_not_mix_with_what_is_there(nothing: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").touch()
    done = _run("render", "-e", nothing, "--out", str(tmp_path / "out"))
    assert done.exit_code == 2
    assert "not empty; name an empty directory" in done.stderr


def test_status_of_what_does_not_run_says_down_and_exits_with_1(nothing: str) -> None:
    done = _run("status", "-e", nothing, "--json")
    assert done.exit_code == 1
    services = json.loads(done.stdout)["services"]
    assert {service["service"] for service in services} >= {"prometheus", "alertmanager", "loki"}
    assert not [service for service in services if service["ready"] or service["id"]]


def test_an_environment_that_does_not_judge_in_real_time_says_so(nothing: str) -> None:
    assert "fast forward" not in _run("status", "-e", nothing).stdout
    assert (
        "fast forward x20: waits and ranges are shortened"
        in _run("status", "-e", nothing, "-c", "fast_forward=20").stdout
    )
    answer = json.loads(_run("status", "-e", nothing, "-c", "fast_forward=20", "--json").stdout)
    assert answer["fast_forward"] == 20


def test_selftest_of_what_does_not_run_fails_each_step_with_its_reason(nothing: str) -> None:
    done = _run("selftest", "-e", nothing, "--timeout", "1", "--json")
    assert done.exit_code == 1
    answer = json.loads(done.stdout)
    assert answer["passed"] is False
    assert {step["step"] for step in answer["steps"] if not step["passed"]} == {
        "services ready",
        "targets up",
        "rules healthy",
        "panels have data",
        "log line found",
        "trace found",
        "alert delivered",
    }
    assert "Connection refused" in answer["steps"][0]["detail"]


def test_selftest_shows_a_table_to_people(nothing: str) -> None:
    done = _run("selftest", "-e", nothing, "--timeout", "1")
    assert done.exit_code == 1
    assert "failed" in done.output


def test_size_counts_the_targets_of_an_environment(nothing: str) -> None:
    done = _run("size", "-e", nothing, "--json")
    facts = json.loads(done.stdout)
    targets = sum(len(job.targets) for job in make_plan(nothing).jobs)
    assert facts["load"]["series"] == targets * 1500
    assert facts["prometheus"]["count"] == 1
    assert facts["prometheus"]["each"]["memory"] == 512 * 2**20 + targets * 1500 * 16 * 2**10


def test_size_says_what_to_do_with_ten_million_series() -> None:
    done = _run("size", "--series", "10000000")
    assert done.exit_code == 0
    assert "10,000,000 series, 666,667 samples a second, kept for 15 d" in done.stdout
    assert "all 6" in done.stdout
    assert "Too much for one Prometheus" in done.stdout
    facts = json.loads(_run("size", "--series", "10000000", "--replicas", "1", "--retention", "30d", "--json").stdout)
    assert (facts["shards"], facts["prometheus"]["count"], facts["load"]["retention"]) == (3, 3, 30 * 86400)


def test_size_takes_series_or_an_environment() -> None:
    assert "--series: counts in place of an environment" in _run("size", "--series", "5", "-e", "local").stderr
    done = _run("size", "--series", "5", "--retention", "15")
    assert done.exit_code == 2
    assert "--retention 15: a duration is a whole number" in done.stderr
