"""Log lines are JSON with the agreed fields, whatever is logged; they go where the description says."""

import json
import logging
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import pytest

from instrument import Metrics
from instrument.logs import CountingHandler, JsonLines, Logger, build_config, configure, timestamp
from instrument.logs.file import BadSettings, configure_from, load

FILES = Path(__file__).parent / "logging_files"


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for logger in (root, *(each for each in root.manager.loggerDict.values() if isinstance(each, logging.Logger))):
        for handler in [each for each in logger.handlers if type(each).__module__ == "instrument.logs.handlers"]:
            logger.removeHandler(handler)
            handler.close()
    root.handlers, root.level = handlers, level


class Unshowable:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


def _record(message: object = "taken", *args: object, **extra: object) -> logging.LogRecord:
    record = logging.LogRecord("shop", logging.ERROR, "shop.py", 1, message, args, None)
    vars(record).update(extra)
    return record


def _line(record: logging.LogRecord, faults: list[str] | None = None) -> dict[str, Any]:
    text = JsonLines("shop-api", (faults if faults is not None else []).append).format(record)
    assert "\n" not in text
    line: dict[str, Any] = json.loads(text, parse_constant=pytest.fail)
    text.encode()
    return line


def _faults(metrics: Metrics, part: str = "log") -> float:
    assert metrics.registry
    return metrics.registry.get_sample_value("instrument_faults_total", {"part": part}) or 0


def test_line_has_the_agreed_fields_and_extra_ones() -> None:
    line = _line(_record("%s failed", "it", taskId="abc-123", service="pretender"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "level": "error",
        "message": "it failed",
        "logger": "shop",
        "service": "shop-api",
        "taskId": "abc-123",
    }


def test_exception_is_one_line() -> None:
    try:
        raise OSError("disk\nfull")
    except OSError as problem:
        record = logging.makeLogRecord({"exc_info": (OSError, problem, problem.__traceback__)})
    assert "disk\nfull" in _line(record)["traceback"]


def test_an_emoji_and_a_backslash_are_no_fault() -> None:
    faults: list[str] = []
    assert _line(_record("\U0001f600 \\ud800"), faults)["message"] == "\U0001f600 \\ud800"
    assert faults == []


_CIRCLE: dict[str, Any] = {}
_CIRCLE["self"] = _CIRCLE
_DEEP: list[Any] = []
for _ in range(100_000):
    _DEEP = [_DEEP]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (_record("%d of %d", 1), {"message": "%d of %d"}),
        (_record("%d", "one"), {"message": "%d"}),
        (_record("hello %s", Unshowable()), {"message": "hello %s"}),
        (_record(Unshowable()), {"message": "<not shown: RuntimeError>"}),
        (_record(order=Unshowable()), {"message": "taken", "order": "<not shown: RuntimeError>"}),
        (_record(order=_CIRCLE, shop=1), {"order": "{'self': {...}}", "shop": 1}),
        (_record(tree=_DEEP), {"tree": "<not shown: RecursionError>"}),
        (_record(ratio=float("nan")), {"ratio": "nan"}),
        (_record(order={(1, 2): 3}), {"order": "{(1, 2): 3}"}),
        (_record("half \ud83d", name="\udcff"), {"message": "half \\ud83d", "logger": "\\udcff"}),
    ],
    ids=["few arguments", "wrong type", "argument", "message", "extra", "circle", "deep", "nan", "key", "surrogate"],
)
def test_what_cannot_be_written_is_reduced_and_counted(record: logging.LogRecord, expected: Mapping[str, Any]) -> None:
    faults: list[str] = []
    line = _line(record, faults)
    assert {name: line[name] for name in expected} == expected
    assert line["level"] == "error"
    assert line["service"] == "shop-api"
    assert len(faults) == 1


def test_odd_records_reach_the_file_and_nothing_reaches_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = Metrics()
    configure("shop", file=tmp_path / "deep" / "shop.log", console="plain", metrics=metrics)
    logging.getLogger("shop").info("%d", "one")
    logging.getLogger("shop").info("half \ud83d", extra={"order": Unshowable()})
    lines = [json.loads(line) for line in (tmp_path / "deep" / "shop.log").read_text().splitlines()]
    assert [line["message"] for line in lines if line["logger"] == "shop"] == ["%d", "half \\ud83d"]
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "INFO shop: %d\n" in captured.out
    assert _faults(metrics) >= 3


def test_a_terminal_without_the_character_gets_its_escape(tmp_path: Path) -> None:
    program = (
        "import logging; from instrument.logs import configure; configure('shop', console='plain');"
        "logging.getLogger('shop').info('caf\\u00e9')"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONIOENCODING": "ascii", "PYTHONPATH": str(Path.cwd())},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.endswith("INFO shop: caf\\xe9\n")
    assert answer.stderr == ""


def test_a_directory_that_goes_away_costs_lines_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = Metrics()
    directory = tmp_path / "logs"
    configure("shop", file=directory / "shop.log", file_bytes=100, metrics=metrics)
    logging.getLogger("shop").info("written")
    shutil.rmtree(directory)
    directory.touch()
    logging.getLogger("shop").info("lost")
    assert _faults(metrics) >= 1
    directory.unlink()
    directory.mkdir()
    logging.getLogger("shop").info("written again")
    assert "written again" in (directory / "shop.log").read_text()
    assert capsys.readouterr().err == ""


def test_file_is_rotated_by_size_and_backups_are_kept(tmp_path: Path) -> None:
    configure("shop", file=tmp_path / "shop.log", file_bytes=300, file_backups=5)
    for number in range(20):
        logging.getLogger("shop").info("order %s", number)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["shop.log", *(f"shop.log.{number}" for number in range(1, 6))]
    lines = [json.loads(line) for path in tmp_path.iterdir() for line in path.read_text().splitlines()]
    assert len({line["message"] for line in lines}) == len(lines) == 12


def test_default_size_is_that_of_the_documents(tmp_path: Path) -> None:
    configure("shop", file=tmp_path / "shop.log")
    handler = logging.getLogger().handlers[0]
    assert isinstance(handler, RotatingFileHandler)
    assert (handler.maxBytes, handler.backupCount) == (10_485_760, 5)


def test_without_a_file_the_console_has_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure("shop")
    logging.getLogger("shop").info("open")
    assert json.loads(capsys.readouterr().out)["message"] == "open"


def test_with_a_file_the_console_is_silent_but_for_errors_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loggers = {
        "uvicorn": Logger(sinks=("errors",), propagate=True),
        "httpx": Logger(level="WARNING", propagate=True),
    }
    configure("shop", file=tmp_path / "shop.log", loggers=loggers)
    logging.getLogger("uvicorn.error").info("started")
    logging.getLogger("uvicorn.error").error("port is taken")
    logging.getLogger("httpx").info("GET")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.endswith("ERROR uvicorn.error: port is taken\n")
    lines = (tmp_path / "shop.log").read_text().splitlines()
    assert [json.loads(line)["message"] for line in lines] == ["started", "port is taken"]


def test_loggers_that_exist_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.getLogger("shop.before")
    configure("shop")
    before.warning("still here")
    assert "still here" in capsys.readouterr().out


def _counts(metrics: Metrics) -> dict[tuple[str, str], float]:
    assert metrics.registry
    return {
        (sample.labels["logger"], sample.labels["level"]): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "log_messages_total" and sample.value
    }


def test_warnings_and_above_are_counted_by_logger() -> None:
    metrics = Metrics()
    levels = ("warning", "error", "critical")
    counter = metrics.counter("log_messages_total", "Messages.", logger=("shop", "root", "other"), level=levels)
    handler = CountingHandler(counter, ("shop",))
    for name, level in [
        ("shop", logging.INFO),
        ("shop", logging.WARNING),
        ("shop.orders", logging.ERROR),
        ("shopping", logging.ERROR),
        ("root", logging.CRITICAL),
        ("shop", 35),
    ]:
        handler.handle(logging.LogRecord(name, level, "", 1, "", (), None))
    assert _counts(metrics) == {
        ("shop", "warning"): 2,
        ("shop", "error"): 1,
        ("other", "error"): 1,
        ("root", "critical"): 1,
    }


def test_description_of_the_tdd_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    metrics = Metrics()
    counter = metrics.counter(
        "log_messages_total", "", logger=("streamlit_extension", "other"), level=("warning", "error", "critical")
    )
    configure_from(FILES / "tdd.yaml", metrics=metrics, counter=counter)
    for name in ("streamlit_extension.page", "duration_system", "somewhere"):
        for level in (logging.DEBUG, logging.INFO, logging.WARNING):
            logging.getLogger(name).log(level, "of %s", name)
    lines = [json.loads(line) for line in Path("logs/application.log").read_text().splitlines()]
    written = [(line["logger"], line["level"]) for line in lines]
    both = ["debug", "info", "warning"]
    expected = [(name, level) for name in ("streamlit_extension.page", "duration_system") for level in both]
    assert written == [*expected, ("somewhere", "warning")]
    shown = re.findall(r"Z (\w+) ([\w.]+):", capsys.readouterr().out)
    assert shown == [(level.upper(), name) for name, level in written if level != "debug"]
    assert _counts(metrics) == {("streamlit_extension", "warning"): 1}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("unknown_key", "levels: unknown key; did you mean level?"),
        ("no_service", "service: missing, and it has no default"),
        ("level", "level: 'LOUD' is not one of"),
        ("sink", "loggers.shop: sinks: 'screen' is not one of console, file, metrics, errors"),
        ("sinks_text", "sinks: 'console' is not a list of console, file, metrics, errors"),
        ("logger_list", "loggers: not a mapping of loggers by name"),
        ("bytes", "file_bytes: True is not a whole number above 0"),
        ("propagate", "loggers.shop: propagate: 1 is neither true nor false"),
        ("not_yaml", "not YAML: while parsing"),
        ("list", "not a mapping of keys"),
        ("encoding", "not YAML: "),
        ("absent", "No such file or directory"),
    ],
)
def test_bad_descriptions_are_refused_by_key(name: str, says: str) -> None:
    path = FILES / "bad" / f"{name}.yaml"
    with pytest.raises(BadSettings, match=re.escape(f"{path}: {says}")):
        load(path)


def test_every_bad_description_is_tried() -> None:
    tried = {
        values[0]
        for mark in test_bad_descriptions_are_refused_by_key.pytestmark  # type: ignore[attr-defined]
        for values in mark.args[1]
    }
    assert {path.stem for path in (FILES / "bad").iterdir()} == tried - {"absent"}


def test_config_is_made_without_touching_anything(tmp_path: Path) -> None:
    config = build_config("shop", file=tmp_path / "logs" / "shop.log")
    assert config["disable_existing_loggers"] is False
    assert list(tmp_path.iterdir()) == []


def test_timestamp_is_utc_with_milliseconds() -> None:
    assert timestamp(0) == "1970-01-01T00:00:00.000Z"
    assert timestamp(1767225600.5) == "2026-01-01T00:00:00.500Z"
