"""The grounds that an environment can run on. Only what is here imports a provider of Pulumi."""

from stacks.plan import Plan
from stacks.strict import Refused


def deploy(plan: Plan) -> None:
    """Register the resources of an environment with Pulumi, on the target of its settings."""
    # Each is imported by who runs on it: a provider's package costs an update a tenth of a second and more.
    match plan.settings.target:
        case "local":
            from stacks.targets import local  # noqa: PLC0415

            local.deploy(plan)
        case "docker":
            from stacks.targets import docker  # noqa: PLC0415

            docker.deploy(plan)
        case other:
            raise not_yet(other)


def not_yet(target: str) -> Refused:
    """Of a target that this version does not deploy to."""
    return Refused(
        f"watchstack:target: {target}: this version deploys to local and docker; "
        "its files can be checked and rendered, and it runs here with `-c watchstack:target=local`"
    )
