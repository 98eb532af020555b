"""Strict models over YAML, and errors that a person can act on."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from stacks.names import IN_THE_CLEAR

Model = TypeVar("Model", bound=BaseModel)
# What a problem's line begins with, by the keys and positions that lead to the value.
Where = Callable[[Sequence[str | int]], str]


class Strict(BaseModel):
    """A frozen model that refuses unknown keys and silent conversions."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


class Refused(Exception):
    """Input that cannot be used. The message has one line a problem."""


def load(model: type[Model], data: object, where: str | Where) -> Model:
    """Validate YAML data; Refused names the key's path after `where`, the value and what is accepted."""
    placed = where if callable(where) else lambda steps: where + _path(steps)
    try:
        # JSON mode: a YAML list may fill a tuple, yet "15" still is no number. A date of YAML is text.
        return model.model_validate_json(json.dumps(data, default=str))
    except ValidationError as problem:
        lines = [_line(model, data, error, placed) for error in _own(problem.errors())]
    raise Refused("\n".join(lines))


def in_file(name: str, file: Path) -> Where:
    """Where something stands in a YAML file: its name, the line, and the key's path."""
    return lambda steps: f"{name}:{line_of(file.read_text(), steps)}: {_path(steps)}"


def line_of(text: str, steps: Sequence[str | int]) -> int:
    """The line of the last of these steps that is there."""
    node: Any = yaml.compose(text, Loader=yaml.CSafeLoader)
    line = 1
    for step in steps:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(step)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            node = node.value[step]
            line = node.start_mark.line + 1
    return line


def nearest(name: str, known: list[str]) -> str:
    """A hint for a misspelt name: the closest known one, or all of them."""
    import difflib  # noqa: PLC0415 - only where something is wrong

    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(sorted(known)) or 'none'}"


def _own(errors: Sequence[Any]) -> list[Any]:
    """Without those that say of a list only that an item of it, which has an error too, does not count."""
    places = [error["loc"] for error in errors]
    return [
        error
        for error in errors
        if error["type"] != "too_short"
        or not any(len(loc) > len(error["loc"]) and loc[: len(error["loc"])] == error["loc"] for loc in places)
    ]


def _path(steps: Sequence[str | int]) -> str:
    return ".".join(str(step) for step in steps)


def _line(model: type[BaseModel], data: object, error: Any, where: Where) -> str:
    steps = _steps(data, error["loc"])
    path = where(steps).rstrip(":")
    if error["type"] == "extra_forbidden":
        return f"{path}: unknown key {steps[-1]!r}; {nearest(str(steps[-1]), _fields(model, steps[:-1]))}"
    accepted = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if error["type"] == "missing":
        return f"{path}: missing, and it has no default"
    if isinstance(error["input"], dict | list) and error["type"] != IN_THE_CLEAR:
        return f"{path}: {accepted}"
    hidden = "secrets" in steps or error["type"] == IN_THE_CLEAR
    shown = "the value (not shown)" if hidden else json.dumps(error["input"], default=str)
    return f"{path}: {shown} is not accepted: {accepted}"


def _steps(data: object, location: tuple[str | int, ...]) -> list[str | int]:
    """The parts of a pydantic location that are keys of the data; the rest name types of a union."""
    steps: list[str | int] = []
    for part in location:
        if isinstance(data, dict) and (part in data or part == location[-1]):
            steps.append(part)
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int):
            steps.append(part)
            data = data[part]
    return steps


def _fields(model: type[BaseModel], steps: list[str | int]) -> list[str]:
    """The keys that the model at these steps takes. Steps into a list or a map of models name no field."""
    for step in steps:
        inner = _model_in(_by_key(model).get(str(step)))
        model = inner or model
    return sorted(_by_key(model))


def _by_key(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _model_in(annotation: Any) -> Any:
    """The model inside `tuple[Model, ...]`, `dict[str, Model]` or `Model | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)
