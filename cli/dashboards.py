"""`./watchstack dashboards diff`: what was edited in Grafana's page."""

import json as json_format
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import httpx
import typer
from rich.markup import escape

from cli.common import AsJson, Config, Environment, answer, console, make_plan, refusals, waiting
from dashboards import drift
from dashboards.drift import Change
from stacks.plan import Plan
from stacks.service import Endpoint
from stacks.services import grafana
from stacks.strict import Refused
from stacks.targets import live

dashboards = typer.Typer(no_args_is_help=True, help="Dashboards as Grafana serves them.")

# As many as Grafana answers with at once.
_LIMIT = "5000"


@dashboards.callback()
def _group() -> None:
    """Dashboards as Grafana serves them."""


@dashboards.command()
def diff(environment: Environment = "local", config: Config = None, json: AsJson = False) -> None:
    """Compare what Grafana serves with what the code says, panel by panel. Exit 1 on any difference."""
    with refusals(as_json=json):
        made = live.reached(make_plan(environment, config))
        with waiting("asking Grafana", quiet=json), client(made) as asked:
            found = list(changes(made, asked))
    if json:
        answer({"environment": environment, "changes": [asdict(change) for change in found]})
    else:
        _print(made, found)
    if found:
        raise typer.Exit(1)


def client(plan: Plan) -> httpx.Client:
    """Grafana's API, as its administrator. Refused where there is no Grafana."""
    service = plan.find(grafana.NAME)
    if service is None:
        reasons = [line.because for line in plan.left_out if line.what == f"service {grafana.NAME}"]
        because = reasons[0] if reasons else "watchstack:grafana.enabled is false"
        raise Refused(f"there is no Grafana in {plan.settings.environment} to compare with: {because}")
    secret = next(secret for secret in service.secrets if secret.secret == grafana.PASSWORD)
    auth = ("admin", live.secret(plan, service, secret))
    return httpx.Client(base_url=plan.url(service, Endpoint(port="http", path="")), auth=auth, trust_env=False)


def changes(plan: Plan, client: httpx.Client) -> Iterator[Change]:
    """What is in Grafana otherwise than in the code."""
    folders = {found["uid"]: found.get("folderTitle", "") for found in _served(client)}
    ours = {dashboard.uid: dashboard for dashboard in plan.dashboards}
    for uid, dashboard in ours.items():
        if uid not in folders:
            yield Change(dashboard=uid, panel="", change="removed")
            continue
        if folders[uid] != dashboard.folder:
            yield Change(
                dashboard=uid, panel="", change="changed", what="folder", code=dashboard.folder, grafana=folders[uid]
            )
        served = _get(client, f"/api/dashboards/uid/{uid}")["dashboard"]
        yield from drift.compare(json_format.loads(dashboard.text), served)
    yield from (Change(dashboard=uid, panel="", change="added") for uid in sorted({*folders} - {*ours}))


def _served(client: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _get(client, "/api/search", type="dash-db", limit=_LIMIT)
    return found


def _get(client: httpx.Client, path: str, **parameters: str) -> Any:
    try:
        got = client.get(path, params=parameters)
    except httpx.HTTPError as problem:
        raise Refused(f"Grafana at {client.base_url} does not answer: {problem}") from None
    if not got.is_success:
        raise Refused(f"Grafana at {client.base_url}, {path}: {got.status_code} {got.text.strip()[:200]}")
    return got.json()


def _print(plan: Plan, changes: Sequence[Change]) -> None:
    for change in changes:
        where = f"{change.dashboard}/{change.panel}" if change.panel else change.dashboard
        sign, colour = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}[change.change]
        what = f": {change.what}" if change.what else f" {change.change} in Grafana"
        console.print(f"[{colour}]{sign} {escape(where)}{escape(what)}", highlight=False, soft_wrap=True)
        for name, side in (("code", change.code), ("Grafana", change.grafana)):
            for line in side.splitlines():
                console.print(f"    {name:8}{escape(line)}", highlight=False, soft_wrap=True)
    if not changes:
        console.print(f"[green]{len(plan.dashboards)} dashboards are in Grafana as the code says")
