"""The package installs with prometheus-client alone, and does nothing where even that is missing."""

import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

import instrument

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "instrument"
# What these modules are for is in an extra; nothing that works without it imports them.
OF_EXTRAS = {
    "bridge.routes": "starlette",
    "health.routes": "starlette",
    "logs.file": "yaml",
    "tracing.export": "opentelemetry",
}

IMPORT_ALL = f"""
import importlib, pkgutil, sys
import instrument
of_extras = {OF_EXTRAS!r}
for module in sorted(each.name for each in pkgutil.walk_packages(instrument.__path__, "instrument.")):
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as problem:
        extra = of_extras.pop(module.removeprefix("instrument."), None)
        assert problem.name.partition(".")[0] == extra, (module, problem)
assert not of_extras, of_extras
assert sys.modules.get("streamlit") is None
"""

USE = """
import asyncio
from instrument import Metrics
from instrument.asgi import Exposition, measured
from instrument.families import Cache, Database, Pool
from instrument.http import Http
from instrument.streamlit import kept, serve
from instrument.wsgi import Exposition as WsgiExposition, measured as wsgi_measured

metrics = kept("metrics", lambda: Metrics("shop_"))
http = Http(metrics, operations=[("GET", "/a")])
metrics.counter("orders_total", "Orders.", channel=("web",)).inc(channel="web")
metrics.counter("wrong_total", "Wrong.").inc("nonsense", nonsense="x")
metrics.histogram("price", "Price.").observe(1.5)
metrics.read("stock", "Stock.", lambda: 3)
with Database(metrics, ("get",)).query("get"):
    Cache(metrics, ("page",)).hit("page")
Pool(metrics, lambda: {"size": 1}, states=("size",))

sent = []

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"fine"})

async def receive():
    return {"type": "http.request"}

async def send(message):
    sent.append(message)

def wsgi(environ, start_response):
    start_response("200 OK", [])
    return [b"fine"]

scope = {"type": "http", "method": "GET", "path": "/a", "headers": []}
asyncio.run(measured(app, http)(scope, receive, send))
asyncio.run(Exposition(metrics)(scope | {"path": "/metrics"}, receive, send))
assert [each["status"] for each in sent[::2]] == [200, 200]
answer = wsgi_measured(wsgi, http)({"REQUEST_METHOD": "GET", "PATH_INFO": "/a"}, lambda *_: None)
assert list(answer) == [b"fine"]
text = WsgiExposition(metrics)({"HTTP_ACCEPT": ""}, lambda *_: None)[0].decode()
"""

ALONE = """
assert 'shop_http_requests_total{endpoint="/a",method="GET",status="200"} 2.0' in text
assert "shop_stock 3.0" in text
"""

NOTHING = """
assert text == ""
assert measured(app, http) is app and wsgi_measured(wsgi, http) is wsgi
assert serve(metrics, "127.0.0.1", 1) is None
"""

BLOCKED = """
import sys
for module in ("prometheus_client", "opentelemetry", "starlette", "yaml", "streamlit"):
    sys.modules[module] = None
"""


def _run(python: Path | str, code: str, path: Path) -> None:
    options = [str(python), "-I", "-c", f"import sys; sys.path.insert(0, {str(path)!r})\n{code}"]
    done = subprocess.run(options, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_every_module_imports_and_nothing_happens_without_any_library() -> None:
    _run(sys.executable, BLOCKED + IMPORT_ALL + USE + NOTHING, ROOT)


def test_same_calls_count_where_the_client_library_is() -> None:
    _run(sys.executable, USE + ALONE, ROOT)


def test_distribution_says_what_it_needs() -> None:
    project = tomllib.loads((SOURCE / "pyproject.toml").read_text())["project"]
    assert project["name"] == "watchstack-instrument"
    assert [each.partition(">")[0] for each in project["dependencies"]] == ["prometheus-client"]
    assert project["optional-dependencies"].keys() == {"asgi", "wsgi", "streamlit", "tracing", "logs"}


@pytest.mark.engine
@pytest.mark.parametrize("client", ["prometheus-client", "prometheus-client==0.20.0"])
def test_installs_into_an_empty_environment_with_the_client_library_alone(tmp_path: Path, client: str) -> None:
    source, home = tmp_path / "source", tmp_path / "environment"
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("__pycache__"))
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(source), client]
    subprocess.run(install, check=True, timeout=300)
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True, check=True, timeout=60
    )
    names = {line.partition("==")[0].replace("_", "-") for line in listed.stdout.split()}
    assert names - {"pip", "setuptools", "wheel"} == {"watchstack-instrument", "prometheus-client"}
    assert f"watchstack-instrument=={instrument.__version__}" in listed.stdout.replace("_", "-")
    (installed,) = home.glob("lib/*/site-packages/instrument")
    assert (installed / "py.typed").is_file()
    _run(python, f"{IMPORT_ALL}\nassert instrument.__file__.startswith({str(installed)!r})\n" + USE + ALONE, tmp_path)
