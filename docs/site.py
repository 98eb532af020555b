"""What MkDocs does not do by itself: pages of a directory in the navigation, diagrams drawn. `mkdocs.yml` names it."""

from pathlib import Path
from typing import Any

import mmdr


def on_config(config: dict[str, Any]) -> dict[str, Any]:
    """MkDocs' hook: the configuration as it was read, completed."""
    config["nav"] = expanded(config["nav"], Path(config["docs_dir"]))
    fence = {"name": "mermaid", "class": "diagram", "format": diagram}
    config["mdx_configs"]["pymdownx.superfences"] = {"custom_fences": [fence]}
    return config


def expanded(nav: Any, docs: Path) -> Any:
    """The navigation, with the pages of a directory in place of its name, such as `runbooks/`."""
    if isinstance(nav, list):
        return [expanded(entry, docs) for entry in nav]
    if isinstance(nav, dict):
        return {title: expanded(entry, docs) for title, entry in nav.items()}
    if not nav.endswith("/"):
        return nav
    return [str(page.relative_to(docs)) for page in sorted((docs / nav).glob("*.md"))]


def diagram(source: str, *_asked: object, **_options: object) -> str:
    """A Mermaid diagram as SVG: the theme would have every reader's browser fetch a program that draws it."""
    return f'<div class="diagram">{mmdr.render(source).svg()}</div>'
