"""Strict models over YAML, and errors that a person can act on."""

import difflib
import json
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

Model = TypeVar("Model", bound=BaseModel)


class Strict(BaseModel):
    """A frozen model that refuses unknown keys and silent conversions."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Refused(Exception):
    """Input that cannot be used. The message has one line a problem."""


def load(model: type[Model], data: object, where: str) -> Model:
    """Validate YAML data; Refused names the key's path after `where`, the value and what is accepted."""
    try:
        # JSON mode: a YAML list may fill a tuple, yet "15" still is no number.
        return model.model_validate_json(json.dumps(data))
    except ValidationError as problem:
        lines = [_line(model, data, error, where) for error in _causes(problem)]
    raise Refused("\n".join(lines))


def nearest(name: str, known: list[str]) -> str:
    """A hint for a misspelt name: the closest known one, or all of them."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(sorted(known)) or 'none'}"


def _causes(problem: ValidationError) -> list[Any]:
    """The errors, but for a list that is too short because something in it is wrong."""
    errors = problem.errors()
    inner = {error["loc"][:end] for error in errors for end in range(1, len(error["loc"]))}
    return [error for error in errors if error["type"] != "too_short" or error["loc"] not in inner]


def _line(model: type[BaseModel], data: object, error: Any, where: str) -> str:
    steps = _steps(data, error["loc"])
    path = where + ".".join(str(step) for step in steps)
    if error["type"] == "extra_forbidden":
        return f"{path}: unknown key {steps[-1]!r}; {nearest(str(steps[-1]), _fields(model, steps[:-1]))}"
    accepted = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if error["type"] == "missing":
        return f"{path}: missing, and it has no default"
    if isinstance(error["input"], dict | list):
        return f"{path}: {accepted}"
    shown = "the value (not shown)" if "secrets" in steps else json.dumps(error["input"])
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
