"""`./watchstack pin`: the images of an environment, by the digest that their registry gives for the tag."""

from typing import Annotated

import typer
from docker.errors import DockerException

from cli.common import AsJson, Config, Environment, answer, console, make_plan, refusals, waiting
from stacks import images
from stacks.plan import Plan
from stacks.service import to_yaml
from stacks.strict import Refused
from stacks.targets import containers, engine, secrets

_HEAD = "# The images that `up` pulls by digest. Written by `./watchstack pin`.\n"


def pin(
    environment: Environment = "local",
    config: Config = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if a digest is another one.")] = False,
    json: AsJson = False,
) -> None:
    """Look up the digest of every image in its registry, and write stacks/images.lock.yaml, which `up` pulls by."""
    with refusals(as_json=json):
        made = make_plan(environment, config)
        with waiting("asking the registry", quiet=json):
            found = _digests(made)
    before = images.locked()
    changed = sorted(name for name, digest in found.items() if before.get(name) != digest)
    if not check:
        images.LOCK.write_text(_HEAD + to_yaml({**before, **found}), encoding="utf-8")
    if json:
        answer({"environment": environment, "images": found, "changed": changed})
    else:
        for name, digest in found.items():
            console.print(f"{name}@{digest}{' (new)' if name in changed else ''}", soft_wrap=True, markup=False)
    if check and changed:
        raise typer.Exit(1)


def _digests(plan: Plan) -> dict[str, str]:
    client, login = engine.connect(plan.settings), secrets.login(plan)
    if None in login.values():
        raise Refused("watchstack:registry.password: its file is not here; the registry asks for it")
    found = {}
    for product in containers.products(plan.services):
        name = images.named(product, plan.settings.registry)
        try:
            found[name] = str(client.images.get_registry_data(name, auth_config=login or None).id)
        except DockerException as problem:
            raise Refused(f"{name}: its registry does not say which image that is: {problem}") from None
    return found
