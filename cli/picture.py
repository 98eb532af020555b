"""`./watchstack picture`: dashboards drawn from live data, without Grafana."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from cli.common import AsJson, Config, Environment, answer, console, make_plan, refusals
from pictures import data, draw, model, page, shot, theme
from pictures.data import Answer, Sources, Window
from pictures.model import Index, Page
from stacks.plan import Plan
from stacks.service import Endpoint
from stacks.services import loki, prometheus
from stacks.strict import Refused, nearest
from stacks.targets import live
from stacks.targets.home import ROOT
from stacks.units import seconds

PICTURES = ROOT / ".watchstack" / "pictures"
_PATIENCE_SECONDS = 30
_NO_CHROMIUM = "no Chromium on this machine, so no PNG; Debian has it as `chromium`"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What was drawn of a dashboard. `empty`: panels that show nothing and do not say why."""

    dashboard: str
    panels: int
    found: int
    slowest_seconds: float
    empty: tuple[str, ...]
    errors: dict[str, str]
    html: str
    png: str | None = None


def picture(
    dashboard: Annotated[str | None, typer.Argument(help="The uid of a dashboard; all of them if none.")] = None,
    environment: Environment = "local",
    config: Config = None,
    out: Annotated[Path | None, typer.Option(help="Where to; .watchstack/pictures/ENV if not given.")] = None,
    dark: Annotated[bool, typer.Option("--dark", help="Light on dark.")] = False,
    time_range: Annotated[str, typer.Option("--range", help="How far back, as 15m, 6h or 2d.")] = "15m",
    html_only: Annotated[bool, typer.Option("--html-only", help="No PNG, and no Chromium.")] = False,
    json: AsJson = False,
) -> None:
    """Draw dashboards from live data: an HTML page each, and a PNG where Chromium is. Exit 1 if a query fails."""
    with refusals(as_json=json), httpx.Client(timeout=_PATIENCE_SECONDS, trust_env=False) as client:
        made = live.reached(make_plan(environment, config))
        work = _Work(
            index=_index(made, dashboard),
            window=Window(end=float(int(time.time())), seconds=_range(time_range)),
            sources=_sources(made, client),
            environment=environment,
            colours=theme.DARK if dark else theme.LIGHT,
            out=_directory(out or PICTURES / environment),
            chromium=None if html_only else shot.browser(),
        )
        pictures = work.done(quiet=json)
    lacking = "" if html_only or work.chromium else _NO_CHROMIUM
    if json:
        answer({"environment": environment, "pictures": [asdict(each) for each in pictures], "lacking": lacking})
    else:
        _print(work, pictures, lacking)
    # In a pipeline somebody waits for the PNG.
    if any(each.errors for each in pictures) or (lacking and os.environ.get("CI")):
        raise typer.Exit(1)


def _index(plan: Plan, name: str | None) -> Index:
    pages = tuple(model.read(dashboard.text) for dashboard in plan.dashboards)
    known = [each.uid for each in pages]
    if name is not None and name not in known:
        raise Refused(f"no dashboard {name!r} in {plan.settings.environment}; {nearest(name, known)}")
    return Index(pages=pages, drawn=frozenset(known if name is None else [name]))


def _range(text: str) -> int:
    try:
        found = int(seconds(text))
    except ValueError as problem:
        raise Refused(f"--range {text!r}: {problem}") from None
    if found < 60:
        raise Refused(f"--range {text!r}: less than a minute shows nothing; give 1m or more")
    return found


def _directory(out: Path) -> Path:
    if out.exists() and not out.is_dir():
        raise Refused(f"--out {out}: not a directory")
    out.mkdir(parents=True, exist_ok=True)
    return out


def _sources(plan: Plan, client: httpx.Client) -> Sources:
    def url(name: str) -> str | None:
        service = plan.find(name)
        return plan.url(service, Endpoint(port="http", path="")) if service else None

    sources = Sources(prometheus=url(prometheus.NAME) or "", loki=url(loki.NAME), client=client)
    try:
        client.get(f"{sources.prometheus}/-/ready").raise_for_status()
    except httpx.HTTPError as problem:
        raise Refused(f"Prometheus does not answer ({problem}); is the environment up?") from None
    return sources


@dataclass(frozen=True, kw_only=True)
class _Work:
    """What is drawn, from where, how, and where to."""

    index: Index
    sources: Sources
    window: Window
    environment: str
    colours: theme.Theme
    out: Path
    chromium: str | None

    def done(self, *, quiet: bool) -> list[Picture]:
        """Every dashboard, with a bar that moves with each panel."""
        wanted = [each for each in self.index.pages if each.uid in self.index.drawn]
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        found = []
        with Progress(*columns, console=console, transient=True, disable=quiet) as bar:
            task = bar.add_task("drawing", total=sum(len(each.panels) + 1 for each in wanted))
            for each in wanted:
                bar.update(task, description=each.title)
                found.append(self._drawn(each, partial(bar.advance, task)))
                bar.advance(task)
        return found

    def _drawn(self, each: Page, moved: Callable[[], None]) -> Picture:
        answers = data.ask(each.panels, self.sources, self.window, moved)
        text = page.html(each, answers, self.environment, self.window, self.colours, self.index)
        html, png = self.out / f"{each.uid}.html", self.out / f"{each.uid}.png"
        html.write_text(text, encoding="utf-8")
        png.unlink(missing_ok=True)
        made = _picture(each, answers, html)
        if self.chromium is None:
            return made
        try:
            shot.take(self.chromium, html, png, data.PIXELS, page.height(each))
        except shot.Failed as failed:
            return replace(made, errors={**made.errors, "PNG": str(failed)})
        return replace(made, png=str(png))


def _picture(drawn: Page, answers: Sequence[Answer], html: Path) -> Picture:
    panels = [(panel, got) for panel, got in zip(drawn.panels, answers, strict=True) if panel.kind != "row"]
    return Picture(
        dashboard=drawn.uid,
        panels=len(panels),
        found=sum(got.found for _, got in panels),
        slowest_seconds=round(max((got.seconds for _, got in panels), default=0.0), 3),
        empty=tuple(
            panel.title for panel, got in panels if not (got.error or panel.empty_when or draw.has_data(panel, got))
        ),
        errors={panel.title: got.error for panel, got in panels if got.error},
        html=str(html),
    )


def _print(work: _Work, pictures: Sequence[Picture], lacking: str) -> None:
    table = Table("dashboard", "panels", "series", "slowest query", "without data", title=work.environment)
    for each in pictures:
        bare = ", ".join(each.empty) or "-"
        slowest = f"{each.slowest_seconds * 1000:.0f} ms"
        table.add_row(each.dashboard, str(each.panels), str(each.found), slowest, escape(bare))
    console.print(table)
    console.print(f"{len(pictures)} pages in {work.out}", soft_wrap=True)
    for each in pictures:
        for title, error in each.errors.items():
            console.print(f"[red]{each.dashboard}: {escape(title)}[/]: {escape(error)}", soft_wrap=True)
    if lacking:
        console.print(f"[yellow]{lacking}")
