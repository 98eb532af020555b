"""A user's own dashboards: JSON files as Grafana exports them, and Python modules with a function `board()`."""

import importlib.util
import json
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from dashboards import classic
from dashboards.board import WITHOUT_QUERIES, Board, Kind, Panel, PanelQuery
from stacks.strict import Refused

KINDS = (".json", ".py")


def files(path: Path) -> list[Path]:
    """The file, or the dashboards in the directory, by name. Refused if there are none."""
    if path.is_dir():
        if found := sorted(file for file in path.iterdir() if file.suffix in KINDS and file.name != "__init__.py"):
            return found
        raise Refused(f"{path}: no dashboard in this directory; they are files {' and '.join(f'*{k}' for k in KINDS)}")
    if not path.is_file():
        raise Refused(f"{path}: no such file or directory")
    if path.suffix not in KINDS:
        raise Refused(f"{path}: a dashboard is a file {' or '.join(f'*{kind}' for kind in KINDS)}")
    return [path]


def board(path: Path) -> Board:
    """What the function `board()` of a Python module returns. Refused names the line where it fails."""
    spec = importlib.util.spec_from_file_location(f"own_dashboard_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise Refused(f"{path}: not a Python module")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        made = module.board()
    except Exception as problem:
        raise Refused(f"{path}:{_line(problem, path)}: {type(problem).__name__}: {problem}") from problem
    if not isinstance(made, Board):
        raise Refused(f"{path}: board() returns {type(made).__name__}, not dashboards.board.Board")
    if problems := [f"{path}: panel {panel.title}: {found}" for panel in made.panels if (found := _unmade(panel))]:
        raise Refused("\n".join(problems))
    return made


def _unmade(panel: Panel) -> str:
    """Why no panel can be made of it; nothing if one can."""
    if panel.kind not in get_args(Kind):
        return f"kind {panel.kind!r} is not known; use one of {', '.join(get_args(Kind))}"
    if not panel.queries and panel.kind not in WITHOUT_QUERIES:
        return "queries: missing; it would show nothing"
    return ""


def model(path: Path) -> dict[str, Any]:
    """The classic model in a JSON file. Refused where it is not one."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as problem:
        raise Refused(f"{path}:{problem.lineno}: not JSON: {problem.msg}") from None
    if not isinstance(document, dict):
        raise Refused(f"{path}: a dashboard is a JSON object, not {type(document).__name__}")
    if "panels" not in document and isinstance(document.get("dashboard"), dict):
        raise Refused(f"{path}: an answer of Grafana's API; keep what stands under `dashboard`")
    if not isinstance(uid := document.get("uid"), str) or not uid:
        raise Refused(f"{path}: uid: missing; a dashboard has one of its own, so that links to it last")
    return document


def text(model: dict[str, Any]) -> str:
    """The file that is deployed: the same model in the house's order."""
    return json.dumps(model, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def queries(model: dict[str, Any]) -> tuple[PanelQuery, ...]:
    """Every query of a JSON dashboard; its own variables stand at All."""
    return tuple(_queries(model))


def _queries(model: dict[str, Any]) -> Iterator[PanelQuery]:
    for panel in classic.panels(model):
        reason = str(panel.get("fieldConfig", {}).get("defaults", {}).get("noValue", ""))
        for target in classic.targets(panel):
            yield PanelQuery(
                dashboard=model["uid"],
                panel=str(panel.get("title", "")),
                ref=str(target.get("refId", "")),
                datasource=classic.source(target) or classic.source(panel) or "prometheus",
                expr=classic.without_variables(model, str(target["expr"])),
                instant=bool(target.get("instant", False)),
                legend=str(target.get("legendFormat", "")),
                empty_when=reason.removeprefix("Empty when ") if reason.startswith("Empty when ") else None,
            )


def _line(problem: Exception, path: Path) -> int:
    """The last line of the file that was being run."""
    if isinstance(problem, SyntaxError) and problem.lineno:
        return problem.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(problem.__traceback__) if frame.filename == str(path)]
    return (lines[-1] if lines else None) or 1
