"""The files of a Plan, as they would be deployed."""

from pathlib import Path

from stacks.plan import Plan
from stacks.service import Service
from stacks.settings import Secret


def tree(plan: Plan) -> dict[str, str]:
    """Every file of the Plan by path, below one directory a service. A secret shows as a reference."""
    files: dict[str, str] = {}
    for service in (*plan.services, *plan.absent):
        files |= {f"{service.name}/{file.path}": file.text for file in service.files}
        files |= _references(plan, service)
    return dict(sorted(files.items()))


def write(files: dict[str, str], directory: Path) -> None:
    for path, text in files.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


def _references(plan: Plan, service: Service) -> dict[str, str]:
    sources = {secret: _source(plan.settings.secrets.get(secret.secret)) for secret in service.secrets}
    return {f"{service.name}/{s.path}": f"secret:{s.secret} ({source})\n" for s, source in sources.items()}


def _source(secret: Secret | None) -> str:
    if secret is None:
        return "generated"
    if secret.file:
        return f"file {secret.file}"
    return f"capture receiver at /{secret.capture}" if secret.capture else "encrypted in the stack file"
