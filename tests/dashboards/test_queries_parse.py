"""Prometheus itself reads every query."""

import json
import subprocess
from pathlib import Path

import pytest

from dashboards import build, names, queries, runnable
from toolchain.programs import program


@pytest.mark.e2e
@pytest.mark.parametrize("name", names())
def test_promtool_reads_every_query(name: str, tmp_path: Path) -> None:
    rules = [
        {"record": f"query:{number}", "expr": runnable(query.expr, step_seconds=15, range_seconds=3600)}
        for number, query in enumerate(queries(build(name)))
        if query.datasource == "prometheus"
    ]
    file = tmp_path / "queries.yml"
    file.write_text(json.dumps({"groups": [{"name": name, "rules": rules}]}))
    checked = subprocess.run(
        [str(program("promtool")), "check", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(rules)} rules found" in checked.stdout + checked.stderr
