"""What the site's navigation shows of a directory: every page in it. MkDocs calls this, as `mkdocs.yml` says."""

from pathlib import Path
from typing import Any


def on_config(config: dict[str, Any]) -> dict[str, Any]:
    """MkDocs' hook: the configuration as it was read, with every directory replaced by its pages."""
    config["nav"] = expanded(config["nav"], Path(config["docs_dir"]))
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
