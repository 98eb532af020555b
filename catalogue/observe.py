"""`python -m catalogue.observe -e ENV`: read what the programs of a running environment expose into their catalogues.

What an earlier observation of the same version saw stays: not every environment makes a program show all it has.
"""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import yaml
from prometheus_client import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

import catalogue
from catalogue import DIRECTORY, Catalogue, Metric
from cli.common import make_plan
from stacks.plan import Plan
from stacks.service import ScrapeJob
from stacks.strict import Refused
from toolchain import programs

# The format that every program speaks, and the one that leaves names as the program gave them.
_TEXT = "text/plain;version=0.0.4"
# What Prometheus' text format calls a metric without a type.
_UNTYPED = "untyped"
_OF_THE_FORMAT = {"histogram": {"le"}, "summary": {"quantile"}}

_HEAD = "# `observed` is made by `python -m catalogue.observe`; `declared` is written by hand.\n"


def exposed(text: str) -> dict[str, Metric]:
    """The metrics of an exposition in Prometheus' text format, by name."""
    types = {line.split()[2]: line.split()[3] for line in text.splitlines() if line.startswith("# TYPE ")}
    return {
        family_name(family, types): _metric(family) for family in text_string_to_metric_families(text) if family.samples
    }


def merged(known: Catalogue | None, product: str, version: str, seen: Mapping[str, Metric]) -> Catalogue:
    """A catalogue with what was seen now. Refused where that contradicts what is declared."""
    declared = known.declared if known else {}
    if problems := [*_contradictions(product, seen, declared)]:
        raise Refused("\n".join(problems))
    before = known.observed if known and known.version == version else {}
    observed = {**before, **{name: _union(before.get(name), metric) for name, metric in seen.items()}}
    observed = {name: observed[name] for name in sorted(observed.keys() - declared.keys())}
    return Catalogue(product=product, version=version, observed=observed, declared=declared)


def text(made: Catalogue, before: str) -> str:
    """The file of a catalogue. What is declared stays as it is written in the file `before`."""
    observed = "".join(f"  {name}: {_flow(metric)}\n" for name, metric in made.observed.items())
    declared = before.partition("\ndeclared:")
    kept = f"\n{declared[1].strip()}{declared[2]}" if declared[1] else ""
    return f"{_HEAD}product: {made.product}\nversion: {_scalar(made.version)}\n\nobserved:\n{observed}{kept}"


def observe(plan: Plan, directory: Path = DIRECTORY) -> list[str]:
    """Write the catalogues of the programs that a running environment scrapes; the names of those that changed."""
    changed = []
    for product, seen in _seen(plan).items():
        path = directory / f"{product}.yaml"
        before = path.read_text() if path.is_file() else ""
        made = text(merged(catalogue.product(product, directory), product, _version(product), seen), before)
        if made != before:
            path.write_text(made)
            changed.append(product)
    return changed


def _seen(plan: Plan) -> dict[str, dict[str, Metric]]:
    """What each program exposes, over all its targets."""
    found: dict[str, dict[str, Metric]] = {}
    for job in plan.jobs:
        if job.program:
            known = found.setdefault(job.program, {})
            for name, metric in _scraped(job):
                known[name] = _union(known.get(name), metric)
    return dict(sorted(found.items()))


def _scraped(job: ScrapeJob) -> Iterator[tuple[str, Metric]]:
    for target in job.targets:
        url = f"{job.scheme}://{target.address}{job.path}"
        try:
            answer = httpx.get(url, headers={"Accept": _TEXT}, timeout=30, trust_env=False).raise_for_status()
        except httpx.HTTPError as problem:
            raise Refused(f"{url}: {problem}; bring the environment up first") from None
        yield from exposed(answer.text).items()


def _version(product: str) -> str:
    """The installed version; a program of this repository has that of the repository."""
    try:
        found = programs.find(product)
    except programs.ProgramMissing:
        return "watchstack"
    if isinstance(found, programs.Absent):
        raise Refused(f"{product}: {found.reason}")
    return found.version


def family_name(family: Family, types: Mapping[str, str]) -> str:
    """The name on the wire: the parser takes `_total` off counters, and not every program has it on them."""
    return family.name if family.name in types or family.type != "counter" else f"{family.name}_total"


def _metric(family: Family) -> Metric:
    labels = {label for sample in family.samples for label in sample.labels}
    kind = "unknown" if family.type == _UNTYPED else family.type
    return Metric.model_validate(
        {"type": kind, "labels": tuple(sorted(labels - _OF_THE_FORMAT.get(family.type, set())))}
    )


def _union(before: Metric | None, now: Metric) -> Metric:
    """The labels of both."""
    return Metric(type=now.type, labels=tuple(sorted({*now.labels, *(before.labels if before else ())})))


def _contradictions(
    product: str, seen: Mapping[str, Metric], declared: Mapping[str, catalogue.Declared]
) -> Iterator[str]:
    for name in sorted(seen.keys() & declared.keys()):
        now, said = seen[name], declared[name]
        if now.type != said.type or not {*now.labels} <= {*said.labels}:
            yield (
                f"catalogue/{product}.yaml: {name} is declared as a {said.type} with labels {list(said.labels)}, "
                f"and is a {now.type} with {list(now.labels)}; correct it, or leave it to be observed"
            )


def _flow(metric: Metric) -> str:
    value = {"type": metric.type, **({"labels": list(metric.labels)} if metric.labels else {})}
    return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000).strip()


def _scalar(value: str) -> str:
    return yaml.safe_dump(value, width=10_000).splitlines()[0]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m catalogue.observe", description=__doc__)
    parser.add_argument("-e", "--environment", required=True, metavar="ENV", help="an environment that is up")
    parser.add_argument("-c", "--config", action="append", metavar="KEY=VALUE", help="a setting that it is up with")
    parser.add_argument("--into", type=Path, default=DIRECTORY, help="write there in place of the repository")
    given = parser.parse_args()
    try:
        changed = observe(make_plan(given.environment, given.config), given.into)
    except (Refused, programs.ProgramMissing) as refused:
        parser.exit(2, f"{refused}\n")
    parser.exit(0, f"changed: {', '.join(changed) or 'none'}\n")


if __name__ == "__main__":
    main()
