"""What the programs of the stack expose, one file a program: its metrics, their types and their labels.

`observed` is read from the running program by `python -m catalogue.observe`. `declared` is written by hand: what a
program exposes only after something has happened, and programs that nobody could run here.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, model_validator

from stacks.names import Label
from stacks.strict import Strict, load
from toolchain import remember

DIRECTORY = Path(__file__).parent

MetricName = Annotated[str, Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")]


class Metric(Strict):
    """A family as the program names it: of a histogram and a summary without `_bucket`, `_sum` and `_count`."""

    type: Literal["counter", "gauge", "histogram", "summary", "info", "unknown"]
    labels: tuple[Label, ...] = ()


class Declared(Metric):
    """A metric that was not observed. `values` are those of labels that can have no others."""

    values: dict[Label, tuple[str, ...]] = Field({})
    because: str = Field(min_length=8)

    @model_validator(mode="after")
    def _of_its_labels(self) -> "Declared":
        if unknown := sorted(self.values.keys() - {*self.labels}):
            raise ValueError(f"`values` of {unknown[0]!r}, which is none of the labels")
        return self


class Catalogue(Strict):
    """`version` is the one that was observed; where nothing was, the one that the declared metrics are of."""

    product: str
    version: str
    observed: dict[MetricName, Metric] = Field({})
    declared: dict[MetricName, Declared] = Field({})

    @model_validator(mode="after")
    def _either(self) -> "Catalogue":
        if both := sorted(self.observed.keys() & self.declared.keys()):
            raise ValueError(f"{both[0]} is observed and declared; leave out what is declared")
        return self

    @property
    def metrics(self) -> Mapping[str, Metric]:
        return {**self.observed, **self.declared}


def products(directory: Path = DIRECTORY) -> list[str]:
    """The programs that have a catalogue."""
    return sorted(path.stem for path in directory.glob("*.yaml"))


def product(name: str, directory: Path = DIRECTORY) -> Catalogue | None:
    """The catalogue of a program, if there is one; Refused if it cannot be used."""
    path = directory / f"{name}.yaml"
    if not path.is_file():
        return None
    # Reading hundreds of lines of YAML takes longer than all the rest of a plan.
    place = remember.key(f"catalogue-{name}", [path], ())
    data = json.loads(remember.text(place, lambda: json.dumps(yaml.load(path.read_text(), Loader=yaml.CSafeLoader))))
    return load(Catalogue, data, f"catalogue/{path.name}: ")
