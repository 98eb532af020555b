"""Stack files that must load, and stack files that must be refused, with the words they are refused with."""

from pathlib import Path

import pytest

from stacks import plan, settings
from stacks.strict import Refused

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parents[1] / "stacks" / "env"


def _message(path: Path) -> str:
    return path.read_text().splitlines()[0].removeprefix("# ")


@pytest.mark.parametrize("path", sorted((HERE / "good").iterdir()), ids=lambda path: path.stem)
def test_a_good_stack_file_gives_a_plan(path: Path) -> None:
    assert plan.make(settings.from_stack_file(path, "test"), {}).services


@pytest.mark.parametrize("path", sorted((HERE / "bad").iterdir()), ids=lambda path: path.stem)
def test_a_bad_stack_file_is_refused_in_words_that_help(path: Path) -> None:
    with pytest.raises(Refused) as refused:
        plan.make(settings.from_stack_file(path, "test"), {})
    assert _message(path) in str(refused.value)


@pytest.mark.parametrize("path", sorted(ENVIRONMENTS.glob("Pulumi.*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_environment_gives_a_plan(path: Path) -> None:
    assert plan.make(settings.from_stack_file(path, path.stem.removeprefix("Pulumi.")), {}).services


@pytest.mark.parametrize(
    "name",
    [
        "secret-in-the-clear",
        "receiver-with-its-secret-in-the-clear",
        "remote-write-with-its-login-in-the-url",
        "remote-write-with-its-login-in-a-header",
    ],
)
def test_a_secret_in_the_clear_is_not_repeated_in_the_refusal(name: str) -> None:
    with pytest.raises(Refused) as refused:
        settings.from_stack_file(HERE / "bad" / f"{name}.yaml", "test")
    assert "open-sesame" not in str(refused.value)
    assert "be11edbe" not in str(refused.value)


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(Refused) as refused:
        settings.from_pulumi({"watchstack:target": "moon", "watchstack:port_offset": "-1"}, [], "test")
    assert [line.partition(": ")[0] for line in str(refused.value).splitlines()] == [
        "watchstack:target",
        "watchstack:lifecycle",
        "watchstack:port_offset",
        "watchstack:systems",
    ]


def test_a_stack_file_that_is_not_there_is_named_with_where_to_look() -> None:
    with pytest.raises(Refused, match=r"Pulumi.nowhere.yaml: no such stack file; environments are the files .*/Pulumi"):
        settings.from_stack_file(ENVIRONMENTS / "Pulumi.nowhere.yaml", "nowhere")


def test_pulumis_map_gives_the_same_settings_as_the_file() -> None:
    config = {
        "watchstack:target": "local",
        "watchstack:lifecycle": "ephemeral",
        "watchstack:systems": '{"boss-workflow":{"workload":true}}',
        "watchstack:secrets": '{"discord-webhook":{"capture":"discord"}}',
        "other:key": "of: another: project",
    }
    from_file = settings.from_stack_file(HERE / "good" / "least.yaml", "test")
    assert settings.from_pulumi(config, [], "test") == from_file


def test_a_value_given_on_the_command_line_is_json_or_yaml() -> None:
    file = HERE / "good" / "least.yaml"
    for text in ("{retention: 2d}", '{"retention": "2d"}'):
        assert settings.from_stack_file(file, "test", {"prometheus": text}).prometheus.retention == "2d"
    with pytest.raises(Refused) as refused:
        settings.from_stack_file(file, "test", {"prometheus": "{retention: 2d", "port_offset": "1"})
    assert str(refused.value) == (
        'watchstack:prometheus: "{retention: 2d" is not accepted: it is neither JSON nor YAML'
    )
    with pytest.raises(Refused, match=r"watchstack:secrets: the value \(not shown\) is not accepted"):
        settings.from_stack_file(file, "test", {"secrets": "{discord-webhook: {secure: open-sesame}"})


def test_a_secret_that_pulumi_decrypted_is_taken_and_one_in_the_clear_is_not() -> None:
    config = {
        "watchstack:target": "local",
        "watchstack:lifecycle": "ephemeral",
        "watchstack:systems": '{"boss-workflow":{"workload":true}}',
        "watchstack:secrets": '{"discord-webhook":"https://discord.example/1"}',
    }
    taken = settings.from_pulumi(config, [settings.SECRETS], "test")
    assert taken.secrets["discord-webhook"].secure == "https://discord.example/1"
    with pytest.raises(Refused, match="never stands in a stack file in the clear"):
        settings.from_pulumi(config, [], "test")


@pytest.mark.parametrize(
    ("problem", "place"),
    [
        ("watchstack:prometheus.retention: no", "negative-retention.yaml:7: "),
        ("watchstack:prometheus.volume: no", "negative-retention.yaml:7: "),
        ("secrets: watchstack:systems.boss-workflow: no", "negative-retention.yaml:5: "),
        ("watchstack:lifecycles: no", "negative-retention.yaml: "),
        ("watchstack: no", "negative-retention.yaml:2: "),
        ("rules/shop/v1/alerts.yml:3: no", ""),
    ],
)
def test_a_problem_with_a_key_is_said_with_its_line_in_the_stack_file(problem: str, place: str) -> None:
    said = settings.placed(f"{problem}\n{problem}", Path(__file__).parent / "bad" / "negative-retention.yaml")
    assert said == f"{place}{problem}\n{place}{problem}"
