"""The values of secrets that the settings give."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stacks.plan import Plan
from stacks.service import Service
from stacks.services import capture

if TYPE_CHECKING:
    from pulumi import Output


def given(plan: Plan, service: Service) -> dict[str, str | None]:
    """What each secret file of a service holds, by its path; not those that are generated. See `value` for None."""
    found = {secret: value(plan, secret.secret) for secret in service.secrets if not secret.generated}
    return {secret.path: None if text is None else secret.text(text) for secret, text in found.items()}


def login(plan: Plan) -> dict[str, str | None]:
    """Name and password of the registry of the images; empty where it asks for none. See `value` for None."""
    registry = plan.settings.registry
    if registry is None or registry.username is None or registry.password is None:
        return {}
    return {"username": registry.username, "password": value(plan, registry.password)}


def value(plan: Plan, name: str) -> str | None:
    """The value of a secret of the environment. None: it is in a file that this machine does not have."""
    secret = plan.settings.secrets[name]
    if secret.file is not None:
        return held(secret.file)
    if secret.capture is not None:
        return plan.ground.url(capture.NAME, capture.PORT, f"/{secret.capture}")
    return secret.secure or ""


def held(file: str) -> str | None:
    """What the file of a secret holds; None where there is none that may be read."""
    try:
        return Path(file).expanduser().read_text().strip()
    except OSError:
        return None


def hidden(text: str | None) -> Output[str]:
    """Out of sight. What this machine does not have is unknown, as a preview shows it; an update is refused before."""
    # Only a target has it: ./watchstack, which asks for logins, starts without.
    import pulumi  # noqa: PLC0415

    found: Any = pulumi.UNKNOWN if text is None else text
    return pulumi.Output.secret(found)
