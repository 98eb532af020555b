"""The local target: services as processes of this machine, under a supervisor, on 127.0.0.1."""

import sys
from pathlib import Path
from typing import Any

import pulumi
from pulumi.dynamic import Resource

from stacks.plan import Plan
from stacks.service import Service
from stacks.targets import directory, secrets
from stacks.targets.home import ROOT, home
from stacks.targets.local_provider import HomeProvider, ServiceProvider
from toolchain import programs


class Home(Resource, module="watchstack", name="Home"):
    def __init__(self, name: str, props: dict[str, Any]) -> None:
        super().__init__(HomeProvider(), name, {**props, "supervisor": None})


class LocalService(Resource, module="watchstack", name="Service"):
    def __init__(self, name: str, props: dict[str, Any], opts: pulumi.ResourceOptions) -> None:
        super().__init__(ServiceProvider(), name, props, opts)


def deploy(plan: Plan) -> None:
    """Register the resources of an environment."""
    place = home(plan.settings.environment)
    durable = plan.settings.lifecycle == "durable"
    # What is in the kept data may be locked with a generated secret.
    kept = [directory.GENERATED] if durable else []
    props = {"path": str(place), "environment": {"PYTHONPATH": str(ROOT)}, "kept": kept}
    house = Home(plan.settings.environment, props)
    for service in plan.services:
        # Of what this machine does not have, a preview says nothing.
        absent = ["secrets"] if None in secrets.given(plan, service).values() else None
        options = pulumi.ResourceOptions(parent=house, ignore_changes=absent)
        LocalService(service.name, _props(plan, service, place), options)


def _props(plan: Plan, service: Service, place: Path) -> dict[str, Any]:
    durable = plan.settings.lifecycle == "durable"
    return {
        "name": service.name,
        "home": str(place),
        "command": command(service),
        "files": {file.path: file.text for file in service.files},
        "on_change": {file.path: file.on_change for file in service.files},
        "secrets": pulumi.Output.secret(
            {path: secrets.hidden(text) for path, text in secrets.given(plan, service).items()}
        ),
        "generated": {secret.path: secret.secret for secret in service.secrets if secret.generated},
        "volumes": [volume.path for volume in service.volumes],
        "kept": [volume.path for volume in service.volumes] if durable else [],
        "ready_url": plan.url(service, service.ready),
        "reload": _reload(plan, service),
    }


def _reload(plan: Plan, service: Service) -> dict[str, str]:
    """How the new configuration shows; empty where the service cannot reload. The engine drops nulls."""
    if service.reload is None:
        return {}
    success = {"success": service.reload.success} if service.reload.success else {}
    return {"url": plan.url(service, service.reload.at), "proof": service.reload.proof, **success}


def command(service: Service) -> list[str]:
    """The command line on this machine."""
    if service.product == "python":
        return [sys.executable, "-m", service.program, *service.args]
    program = programs.program(service.program)
    variables = ["/usr/bin/env", *(f"{name}={value}" for name, value in service.environment)]
    return [
        *(variables if service.environment else ()),
        str(program),
        *(arg.replace("{home}", str(program.parent.parent)) for arg in service.args),
    ]
