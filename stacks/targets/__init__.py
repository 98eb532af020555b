"""The grounds that an environment can run on. Only what is here imports a provider of Pulumi."""

from stacks.plan import Plan


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
        case "kubernetes":
            from stacks.targets import kubernetes  # noqa: PLC0415

            kubernetes.deploy(plan)
