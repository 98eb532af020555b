"""Install the pinned programs: the official release, or a build of the pinned Go modules.

What a distribution's package has brought is used, and never installed from here.
"""

import argparse
import asyncio
import contextlib
import fcntl
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from toolchain import programs, sums
from toolchain.build import BuildFailed, build
from toolchain.programs import Absent, Installed, Made
from toolchain.release import Hosts, ReleaseFailed, Step, download
from toolchain.versions import Product, table

_SIGN_OF_LIFE_SECONDS = 30


@dataclass(frozen=True)
class _Run:
    """What the products of one run share."""

    scratch: Path
    hosts: Hosts
    progress: Progress
    two_builds: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))

    def say(self, line: str) -> None:
        self.progress.console.print(f"  {line}", markup=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 1 if a product that is not optional could not be installed."""
    parser = argparse.ArgumentParser(prog="python -m toolchain.install", description=__doc__)
    usual = [name for name, product in table().items() if not product.on_demand]
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=sorted(table()), default=usual)
    parser.add_argument("--json", action="store_true", help="print where everything is, as JSON")
    options = parser.parse_args(arguments)
    console = Console(stderr=options.json, soft_wrap=True, highlight=False)
    try:
        found = install(options.only, console)
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("interrupted; run it again to go on")
        return 130
    if options.json:
        sys.stdout.write(json.dumps([asdict(each) for each in found], default=str, indent=2) + "\n")
    return int(any(isinstance(each, Absent) and not table()[each.product].optional for each in found))


def install(names: Sequence[str], console: Console) -> list[Installed | Absent]:
    """Install what is absent. Safe beside another run on the same cache, and after one that was cut short."""
    found = {name: programs.find(name) for name in names}
    absent = [name for name, each in found.items() if isinstance(each, Absent)]
    if absent:
        with _scratch(programs.cache(), console) as scratch:
            for each in asyncio.run(_install_all(absent, scratch, console)):
                found[each.product] = each
    for name in absent:
        console.print(_line(found[name]), markup=False)
    there = [each for name, each in found.items() if name not in absent]
    if there:
        console.print(f"{len(there)} of {len(found)} products were there already, in {_places(there)}", markup=False)
    return list(found.values())


@contextlib.contextmanager
def _scratch(cache: Path, console: Console) -> Iterator[Path]:
    """An empty directory in the cache, for one run at a time. What a killed run left there is removed."""
    cache.mkdir(parents=True, exist_ok=True)
    scratch = cache / "unfinished"
    with (cache / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print(f"waiting for another install in {cache}", markup=False)
            fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch)


async def _install_all(names: Sequence[str], scratch: Path, console: Console) -> list[Installed | Absent]:
    columns = (TextColumn("{task.fields[product]:14}"), BarColumn(), MofNCompleteColumn())
    more = (TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, *more, console=console, disable=not console.is_terminal) as progress:
        run = _Run(scratch, Hosts(programs.cache() / "unreachable.json"), progress)
        everything = asyncio.gather(*(_install(name, run) for name in names))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, everything.cancel)
        alive = asyncio.create_task(_signs_of_life(run))
        try:
            return await everything
        finally:
            alive.cancel()


async def _signs_of_life(run: _Run) -> None:
    """Where bars cannot be drawn, say now and then how far each product is."""
    while not run.progress.console.is_terminal:
        await asyncio.sleep(_SIGN_OF_LIFE_SECONDS)
        for task in run.progress.tasks:
            if task.total:
                run.say(f"{task.fields['product']}: {task.description} {task.completed:g} of {task.total:g}")


async def _install(name: str, run: _Run) -> Installed | Absent:
    # Another run may have installed it while this one waited for the lock.
    if isinstance(found := programs.find(name), Installed):
        return found
    bar = run.progress.add_task("waiting", total=None, product=name)

    def step(text: str, done: float, total: float | None) -> None:
        run.progress.update(bar, description=text, completed=done, total=total)

    try:
        return await _release_or_build(name, run, step)
    finally:
        run.progress.remove_task(bar)


async def _release_or_build(name: str, run: _Run, step: Step) -> Installed | Absent:
    product = table()[name]
    try:
        if product.release is None:
            raise ReleaseFailed("none; it is only built")
        work = Path(tempfile.mkdtemp(dir=run.scratch))
        await download(product.release, work, run.hosts, step)
        return _publish(name, "release", product.version, work)
    except ReleaseFailed as problem:
        no_release = f"release {product.version}: {problem}"
    if product.build is None:
        return Absent(name, f"{no_release}\n{_other_ways(product)}")
    try:
        async with run.two_builds:
            run.say(f"{name}: building {product.build.version}; {no_release}")
            started = time.monotonic()
            work = Path(tempfile.mkdtemp(dir=run.scratch))
            await build(product.build, work, step)
        run.say(f"{name}: built in {time.monotonic() - started:.0f} s")
        return _publish(name, "build", product.build.version, work)
    except BuildFailed as problem:
        return Absent(name, f"{no_release}\nbuild {product.build.version}: {problem}")


def _publish(name: str, route: Made, version: str, work: Path) -> Installed:
    """Move a finished product to its place in one step, so that nobody ever sees half of it."""
    names = list(table()[name].names)
    if missing := [each for each in names if not (work / "bin" / each).is_file()]:
        raise BuildFailed(f"Go ended well and left no {', '.join(missing)}")
    digests = {each: sums.read(work / "bin" / each) for each in names}
    manifest = {"product": name, "programs": names, "route": route, "version": version, "sha256": digests}
    (work / programs.MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    work.chmod(0o755)
    home = programs.directory(name, route)
    home.parent.mkdir(exist_ok=True)
    shutil.rmtree(home, ignore_errors=True)
    work.rename(home)
    return Installed(name, version, route, home, {each: home / "bin" / each for each in names})


def _other_ways(product: Product) -> str:
    if product.package is None:
        return "build: none, the release is the only way"
    return f"build: none\npackage: none; Debian's {product.package.debian} will do"


def _places(there: Sequence[Installed | Absent]) -> str:
    packages = [each.product for each in there if isinstance(each, Installed) and each.route == "package"]
    tools = str(programs.cache() / "tools")
    return f"{tools}; packages of the distribution: {', '.join(packages)}" if packages else tools


def _line(found: Installed | Absent) -> str:
    if isinstance(found, Installed):
        return f"{found.product} {found.version} ({found.route}): {found.directory}"
    kind = "not installed, and optional" if table()[found.product].optional else "could not be installed"
    return "\n  ".join([f"{found.product}: {kind}", *found.reason.splitlines()])


if __name__ == "__main__":
    sys.exit(main())
