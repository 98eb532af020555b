"""The values of secrets that the settings give."""

from pathlib import Path

from stacks.plan import Plan
from stacks.service import Service
from stacks.services import capture


def given(plan: Plan, service: Service) -> dict[str, str]:
    """What each secret file of a service holds, by its path; not those that are generated."""
    secrets = (secret for secret in service.secrets if not secret.generated)
    return {secret.path: secret.text(value(plan, secret.secret)) for secret in secrets}


def login(plan: Plan) -> dict[str, str]:
    """Name and password of the registry of the images; empty where it asks for none."""
    registry = plan.settings.registry
    if registry is None or registry.username is None or registry.password is None:
        return {}
    return {"username": registry.username, "password": value(plan, registry.password)}


def value(plan: Plan, name: str) -> str:
    """The value of a secret of the environment."""
    secret = plan.settings.secrets[name]
    if secret.file is not None:
        return Path(secret.file).expanduser().read_text().strip()
    if secret.capture is not None:
        return plan.ground.url(capture.NAME, capture.PORT, f"/{secret.capture}")
    return secret.secure or ""
