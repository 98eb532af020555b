"""docs/reference/cli.md: every verb with its options and exit codes, from the command itself."""

import inspect
from collections.abc import Iterator
from typing import Any

import typer

from cli.app import app
from docs import markdown
from docs.markdown import block, code, codes, table

_HEAD = """
# Verbs of ./watchstack

Made by `make generate` from `cli/`.

With `--json` a verb answers in JSON on standard output, and nothing else. Without, it has colours and shows what it
waits for, on a terminal only.

| exit code | of every verb |
| --- | --- |
| 0 | well |
| 1, 3 | what the verb says of it below |
| 2 | refused: a wrong option, value or setting, or something is missing |

What is refused stands on standard error, line by line, and with `--json` on standard output, as the list `refused`.

`./watchstack --install-completion` has your shell complete verbs, options, environments and alerts from the next
shell on; `--show-completion` prints what it would add.
"""


def page() -> str:
    """The reference of the verbs."""
    return markdown.page(_HEAD, *(_verb(name, command) for name, command in verbs().items()))


def verbs() -> dict[str, Any]:
    """Every verb by its words, such as `new system`."""
    return dict(sorted(_verbs(typer.main.get_command(app), "")))


def options(command: Any) -> dict[str, Any]:
    """What a verb takes that begins with a dash, by each of its names."""
    return {name: each for each in command.params if each.param_type_name == "option" for name in each.opts}


def _verbs(group: Any, before: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _verbs(command, f"{before}{name} ")
        else:
            yield before + name, command


def _verb(name: str, command: Any) -> str:
    usage = " ".join(["./watchstack", name, *(_usage(each) for each in command.params if _needed(each))])
    return markdown.page(
        f"## {name}",
        inspect.getdoc(command.callback) or "",
        block("text", usage),
        table(["option", "value", "default", "what for"], map(_row, command.params)),
    )


def _needed(parameter: Any) -> bool:
    return bool(parameter.required or parameter.param_type_name == "argument")


def _usage(parameter: Any) -> str:
    if parameter.param_type_name == "option":
        return f"{parameter.opts[0]} {_value(parameter)}"
    many = "..." if parameter.nargs == -1 else ""
    return f"{parameter.name.upper()}{many}" if parameter.required else f"[{parameter.name.upper()}]{many}"


def _row(parameter: Any) -> tuple[str, str, str, str]:
    names = parameter.opts if parameter.param_type_name == "option" else [_usage(parameter)]
    value = "" if parameter.param_type_name == "argument" or parameter.is_flag else code(_value(parameter))
    again = " May be given again." if parameter.multiple else ""
    return codes(names), value, _default(parameter), (parameter.help or "") + again


def _value(parameter: Any) -> str:
    return str(parameter.metavar or parameter.opts[-1].lstrip("-").upper())


def _default(parameter: Any) -> str:
    if parameter.required:
        return "must be given"
    return "" if parameter.default in (None, False) else code(parameter.default)
