"""Building a product from its pinned Go modules."""

import asyncio
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from toolchain.release import Step
from toolchain.versions import GO, Build, Module


class BuildFailed(Exception):
    """The build cannot be done, and why."""


async def build(recipe: Build, into: Path, step: Step) -> None:
    """Put the programs that go.mod and go.sum pin at `into`/bin. BuildFailed carries Go's last lines."""
    if shutil.which("go") is None:
        raise BuildFailed("there is no `go` on PATH; install Go 1.26 or newer")
    programs = into / "bin"
    programs.mkdir()
    for module in recipe.modules:
        await _compile(module, programs, step)
        for file, carrier in module.copies.items():
            *_, source = await _go(module, ["list", "-mod=readonly", "-m", "-f={{.Dir}}", carrier])
            shutil.copyfile(Path(source) / file, programs / Path(file).name)
            (programs / Path(file).name).chmod(0o755)


async def _compile(module: Module, programs: Path, step: Step) -> None:
    """`go build`, counting packages. Go's build cache makes the next try after an interrupt short."""
    what = ["-mod=readonly", f"-tags={module.tags}", *module.packages]
    listed = await _go(module, ["list", "-deps", *what], lambda line: step(f"resolving: {line}", 0, None))
    packages = {line for line in listed if not line.startswith("go: ")}

    def count(line: str) -> None:
        packages.discard(line)
        step("compiling packages", total - len(packages), total)

    total = len(packages)
    count("")
    # Two builds run at once with a compiler per core each: the system shares the cores, the last has all.
    # -buildvcs=false: a commit in this repository must not change the programs.
    # -s -w: nobody debugs them, and without symbol tables a program is a third smaller.
    stamps = [module.stamp] if isinstance(module.stamp, str) else module.stamp or ()
    linked = " ".join(["-ldflags=-s -w", *(f"-X {stamp}" for stamp in stamps)])
    await _go(module, ["build", "-v", "-trimpath", "-buildvcs=false", linked, f"-o={programs}/", *what], count)


async def _go(module: Module, arguments: list[str], heard: Callable[[str], object] = str) -> list[str]:
    """Run Go in a module's folder; `heard` gets each line as it comes. Returns all lines, of both streams."""
    process = await asyncio.create_subprocess_exec(
        "go",
        *arguments,
        cwd=GO / module.folder,
        env=os.environ | {"CGO_ENABLED": "0", "GOWORK": "off"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    lines: list[str] = []
    try:
        async for line in process.stdout:
            lines.append(line.decode(errors="replace").rstrip())
            heard(lines[-1])
        code = await process.wait()
    finally:
        if process.returncode is None:
            # Go removes its work directory on an interrupt, not on a kill.
            process.send_signal(signal.SIGINT)
            await process.wait()
    if code != 0:
        said = "\n".join(lines[-15:])
        raise BuildFailed(f"`go {arguments[0]}` in toolchain/go/{module.folder} ended with {code}:\n{said}")
    return lines
