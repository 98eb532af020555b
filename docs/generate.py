"""The pages and the golden files that are made from the code: `python -m docs.generate`."""

import argparse
from pathlib import Path

import yaml

import apps
from apps.objectives import Objective
from docs import alerts, cli, dashboards, environments, metrics, settings, sizing
from rules import objectives, sloth
from stacks import plan, render
from stacks import settings as stack_settings
from stacks.strict import load

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = "tests/golden/local"
OBJECTIVES = "tests/rules/objectives"

# Directories in which nothing else lives: what is no longer generated is removed from them.
_OWNED = ("docs/metrics", "docs/environments", "docs/reference", GOLDEN)


def files() -> dict[str, str]:
    """Every generated file: text by path below the root of the repository."""
    return {
        "docs/settings.md": settings.page(),
        "docs/alerts.md": alerts.page(),
        "docs/dashboards.md": dashboards.page(),
        "docs/reference/cli.md": cli.page(),
        "docs/sizing.md": sizing.page(),
        **{f"docs/metrics/{name}.md": metrics.page(apps.profile(name)) for name in apps.names()},
        **{f"docs/environments/{name}.md": environments.page(_plan(name)) for name in stack_settings.environments()},
        **{f"{GOLDEN}/{path}": text for path, text in _golden().items()},
        **{f"{OBJECTIVES}/{name}.yml": text for name, text in _objectives().items()},
    }


def write(root: Path) -> None:
    """Write every generated file below `root`, and remove those that no longer belong."""
    wanted = files()
    for directory in _OWNED:
        for path in (root / directory).rglob("*"):
            if path.is_file() and str(path.relative_to(root)) not in wanted:
                path.unlink()
    render.write(wanted, root)


def _golden() -> dict[str, str]:
    """The rendered files of the environment `local`, as on a machine that has every product."""
    # Dashboards have golden files of their own.
    return {name: text for name, text in render.tree(_plan("local")).items() if "/dashboards/" not in name}


def _plan(environment: str) -> plan.Plan:
    return plan.make(stack_settings.from_stack_file(stack_settings.stack_file(environment), environment), {})


def _objectives() -> dict[str, str]:
    """The rules of the objectives that promtool tests, in both formats."""
    shop = yaml.safe_load((ROOT / OBJECTIVES / "shop.yaml").read_text())
    checkout = "tests/rules/sloth/good/checkout.yml"
    slos = {
        "shop": [objectives.declared("shop", load(Objective, each, "shop.yaml: ")) for each in shop],
        "checkout": sloth.objectives(ROOT / checkout, checkout, "shop"),
    }
    return {name: objectives.file("shop", each, {}).text for name, each in slos.items()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m docs.generate", description=__doc__)
    parser.add_argument("--root", type=Path, default=ROOT, help="write below this directory in place of the clone")
    write(parser.parse_args().root)


if __name__ == "__main__":
    main()
