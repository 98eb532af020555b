"""Small pieces of Markdown."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table. A bar inside a cell is escaped: it would end the cell, also within code."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


def code(text: object) -> str:
    return f"`{text}`" if str(text) else "(empty)"


def codes(texts: Iterable[object]) -> str:
    return ", ".join(map(code, texts))


def block(language: str, text: str) -> str:
    return f"```{language}\n{text.strip()}\n```"


def page(*parts: str) -> str:
    """A page: its parts, with an empty line between them."""
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"
