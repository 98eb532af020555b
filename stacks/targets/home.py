"""Where a local environment lives."""

from pathlib import Path

from stacks.plan import Plan
from stacks.strict import Refused
from toolchain import programs
from toolchain.versions import table

ROOT = Path(__file__).resolve().parents[2]


def home(environment: str) -> Path:
    """The directory of an environment on this machine, inside the clone and ignored by git."""
    return ROOT / ".watchstack" / "run" / environment


def missing() -> dict[str, str]:
    """The optional products that this machine does not have, with the reason."""
    found = {name: programs.find(name) for name, product in table().items() if product.optional}
    return {name: result.reason for name, result in found.items() if isinstance(result, programs.Absent)}


def demand_local(plan: Plan) -> None:
    """Refused if the environment is not one of processes of this machine."""
    if plan.settings.target != "local":
        raise Refused(
            f"watchstack:target: {plan.settings.target}: this version deploys to local only; "
            "its files can be checked and rendered, and it runs here with `-c watchstack:target=local`"
        )
