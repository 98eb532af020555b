"""Logs as the document has them: three loggers, and which of them goes where."""

import json
import logging
from collections.abc import Iterator
from logging.handlers import RotatingFileHandler
from pathlib import Path

import pytest
from asgi_client import opened

from workloads.tdd_project import logs
from workloads.tdd_project.app import TddProject

NAMES = ("", "streamlit_extension", "duration_system")


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Iterator[Path]:
    """The loggers are the process's: they get back what they had."""
    loggers = [logging.getLogger(name) for name in NAMES]
    before = [(logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    yield tmp_path / "log" / "application.log"
    for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
        for handler in set(logger.handlers) - set(handlers):
            handler.close()
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


def _lines(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_file_gets_debug_as_json_console_info_as_text(
    tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = TddProject(tmp_path, 1, pace=0)
    with opened(project.app):
        logs.configure("tdd-app", project.metrics, file)
        for name in ("streamlit_extension", "duration_system", "elsewhere"):
            for level in (logging.DEBUG, logging.INFO, logging.WARNING):
                logging.getLogger(name).log(level, "%s says so", name)
    written = [(line["logger"], line["level"]) for line in _lines(file)]
    own = [
        (name, level) for name in ("streamlit_extension", "duration_system") for level in ("debug", "info", "warning")
    ]
    assert written == [*own, ("elsewhere", "warning")]
    shown = [line.split()[1:] for line in capsys.readouterr().out.splitlines()]
    assert [words[0] for words in shown] == ["INFO", "WARNING"] * 2 + ["WARNING"]
    assert shown[0][-3:] == ["streamlit_extension", "says", "so"]


def test_warnings_of_the_application_are_counted_and_others_are_not(tmp_path: Path, file: Path) -> None:
    project = TddProject(tmp_path, 1, pace=0)
    with opened(project.app) as tdd:
        logs.configure("tdd-app", project.metrics, file)
        tdd.post("/api/cycles", {"title": "Sort by due date"})
        tdd.post("/api/cycles/1/phases", {"outcome": "success", "seconds": 60})
        assert tdd.value("log_messages_total") == 0
        tdd.post("/api/cycles/1/phases", {"outcome": "success", "seconds": 2400})
        project.faults.switch("http_errors", 1)
        tdd.get("/api/cycles")
        logging.getLogger("duration_system").error("not counted")
        logging.getLogger("elsewhere").error("not counted")
        counted = {"warning": 1, "error": 1, "critical": 0}
        for level, number in counted.items():
            assert tdd.value("log_messages_total", logger="streamlit_extension", level=level) == number
        assert tdd.value("log_messages_total") == 2
    line = next(line for line in _lines(file) if line["level"] == "error")
    assert line["logger"] == "streamlit_extension"
    assert (line["handler"], line["status"]) == ("/api/cycles", 500)


def test_phases_are_logged_by_the_duration_system(tmp_path: Path, file: Path) -> None:
    project = TddProject(tmp_path, 1, pace=0)
    with opened(project.app) as tdd:
        logs.configure("tdd-app", project.metrics, file)
        tdd.post("/api/cycles", {"title": "Sort by due date"})
        tdd.post("/api/cycles/1/phases", {"outcome": "failure", "seconds": 61.25})
    [line] = [line for line in _lines(file) if line["logger"] == "duration_system"]
    assert {key: line[key] for key in ("phase", "outcome", "seconds", "service")} == {
        "phase": "red",
        "outcome": "failure",
        "seconds": 61.2,
        "service": "tdd-app",
    }


def test_file_is_rotated_at_ten_mebibytes_with_five_backups(tmp_path: Path, file: Path) -> None:
    project = TddProject(tmp_path, 1, pace=0)
    with opened(project.app):
        logs.configure("tdd-app", project.metrics, file)
        [handler] = [each for each in logging.getLogger().handlers if isinstance(each, RotatingFileHandler)]
        assert (handler.maxBytes, handler.backupCount) == (10_485_760, 5)
