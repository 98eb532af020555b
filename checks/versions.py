"""The components are mended by their publishers, and work together."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from stacks.plan import Plan
from stacks.strict import nearest
from toolchain import lifecycle, programs
from toolchain.lifecycle import Table
from toolchain.versions import table

WARNED = timedelta(days=60)


def check(plan: Plan, _tree: Path) -> list[str]:
    """Refused: what is mended no more, and pairs that do not work, unless the environment accepts them."""
    found, accepted = used(plan), {*plan.settings.accept}
    unknown = [
        f"watchstack:accept.{name}: no such component in this environment; {nearest(name, [*found])}"
        for name in sorted(accepted - found.keys())
    ]
    return unknown + [problem for name, problem in _problems(found, today(), lifecycle.table()) if name not in accepted]


def warnings(plan: Plan) -> list[str]:
    """What will be refused within sixty days, and what is accepted, with the reason."""
    found, now = used(plan), today()
    soon = [
        f"{each.component} {found[each.component]}: {_ends(each.until)} in {(each.until - now).days} days; "
        "raise its version in toolchain/versions.yaml"
        for each in lifecycle.table().supported
        if each.component in found and each.holds(found[each.component]) and now <= each.until < now + WARNED
    ]
    accepted = {name: said.because for name, said in plan.settings.accept.items()}
    old = [(name, text) for name, text in _problems(found, now, lifecycle.table()) if name in accepted]
    return soon + [f"{text.partition(';')[0]}; accepted: {accepted[name]}" for name, text in old]


def used(plan: Plan) -> dict[str, str]:
    """The version of each component that the environment runs: of its image, or of the program that is installed."""
    products = {service.product for service in plan.services} & table().keys()
    return {product: _version(plan, product) for product in sorted(products)}


def today() -> date:
    return datetime.now(UTC).date()


def _version(plan: Plan, product: str) -> str:
    found = None if plan.ground.contained else programs.find(product)
    return found.version if isinstance(found, programs.Installed) else table()[product].version


def _problems(found: Mapping[str, str], now: date, known: Table) -> Iterator[tuple[str, str]]:
    """Each with the component that has to be another, or accepted."""
    for each in known.supported:
        version = found.get(each.component, "")
        if each.holds(version) and now > each.until:
            yield each.component, f"{each.component} {version}: {_ends(each.until)}; {_remedy(each.component)}"
    for pair in known.broken:
        if {pair.component, pair.beside} <= found.keys():
            mine, other = found[pair.component], found[pair.beside]
            if pair.holds(mine, other):
                both = f"{pair.component} {mine} does not work with {pair.beside} {other}"
                yield pair.component, f"{both}: {pair.because}; {_remedy(pair.component)}"


def _ends(until: date) -> str:
    return f"its publisher mends it until {until.isoformat()}"


def _remedy(component: str) -> str:
    return (
        f"raise its version in toolchain/versions.yaml, or say why not: "
        f"watchstack:accept: {{{component}: {{because: ...}}}}"
    )
