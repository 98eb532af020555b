"""docs/settings.md: every key of a stack file, from the models that read it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from annotated_types import Ge, Le, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from docs import markdown
from docs.markdown import block, code, codes, table
from stacks import names, plan, settings, units
from stacks.settings import PROJECT, Settings
from stacks.strict import Refused

STACKS = Path(__file__).resolve().parents[1] / "tests" / "stacks"
GOOD = STACKS / "good" / "everything.yaml"
BAD = STACKS / "bad" / "unknown-inner-key.yaml"


class Kind(NamedTuple):
    """A type that many keys share; `accepted` are examples."""

    name: str
    hint: Any
    words: str
    accepted: tuple[str, ...]


KINDS = (
    Kind("duration", units.Duration, "whole numbers with ms, s, m, h, d, w or y; more than 0", ("15s", "1h30m", "30d")),
    Kind("wait", units.Wait, "a duration that may be 0", ("0s", "5m")),
    Kind("size", units.Size, "a whole number with B, KB, MB, GB, TB or PB (powers of 1024)", ("512MB", "8GB")),
    Kind("version", settings.Version, "`v` and a number", ("v1", "v12")),
    Kind("name", names.Name, "small letters, digits and dashes, a letter first", ("boss-workflow",)),
    Kind("secret's name", names.SecretName, "a name under `secrets`, never the secret itself", ("discord-webhook",)),
    Kind("service", settings.ServiceName, "a name, or a name and a port", ("tdd-app", "tdd-app:8501")),
    Kind("host and port", settings.HostPort, "a host and a port", ("127.0.0.1:5432", "db:5432")),
    Kind("mail server", settings.Smarthost, "a host and a port, or `capture`", ("mail.example.org:587", "capture")),
    Kind(
        "target",
        settings.Target,
        "a host and a port, or a URL without a path",
        ("127.0.0.1:8000", "https://boss.example.org"),
    ),
    Kind("mail address", settings.Mail, "a mail address", ("oncall@example.org",)),
    Kind(
        "path",
        settings.RepositoryPath,
        "a path from the root of the repository, or of the disk, without `..`",
        ("monitoring/checkout.slo.yml", "monitoring/node-mixin"),
    ),
    Kind(
        "registry",
        settings.RegistryAddress,
        "a host, with a port and a path where there are",
        ("registry.example.org/mirror", "127.0.0.1:5000"),
    ),
    Kind(
        "engine",
        settings.EngineUrl,
        "a URL that begins with `unix://`, `tcp://` or `ssh://`",
        ("unix:///var/run/docker.sock", "ssh://ops@monitoring.example.org"),
    ),
    Kind("domain", settings.Domain, "a host name, in small letters", ("grafana.example.org", "localhost")),
    Kind("directory", settings.Directory, "a path from the root of the disk", ("/var/lib/docker",)),
    Kind("address", settings.IpAddress, "an IP address", ("127.0.0.1", "10.0.0.4")),
    Kind("private address", settings.PrivateAddress, "an IP address in a private network", ("10.0.0.5", "fd00::5")),
    Kind(
        "backend",
        settings.WriteUrl,
        "a URL without a login",
        ("https://mimir.example.org/api/v1/push", "http://10.0.0.11:8428/api/v1/write"),
    ),
    Kind("day", settings.Day, "year, month and day", ("2026-12-01",)),
    Kind("bucket", settings.Bucket, "small letters, digits, dashes and dots", ("watchstack", "metrics.example.org")),
    Kind(
        "store",
        settings.S3Endpoint,
        "a host, with a port where it has one",
        ("s3.eu-central-1.amazonaws.com", "10.0.0.12:9000"),
    ),
    Kind("header", settings.HeaderName, "letters, digits and dashes", ("X-Scope-OrgID",)),
    Kind("label", names.Label, "letters, digits and underscores, no digit first", ("cluster", "team_2")),
)

# What the user names, in the path of a key.
_CHOSEN = {
    "systems": "SYSTEM",
    "hosts": "HOST",
    "remote_write": "BACKEND",
    "receivers": "RECEIVER",
    "accept": "COMPONENT",
    "override": "PACK/ALERT",
    "panels": "DASHBOARD/PANEL",
    "secrets": "NAME",
}
_HEAD = ("key", "accepted", "default", "meaning")

_INTRODUCTION = """\
Made by `make generate` from `stacks/settings.py`.

An environment is a file `stacks/env/Pulumi.<environment>.yaml`. This one has every key, but for those that exclude
another one in it:"""

_ERRORS = """\
A file that cannot be used is refused before anything is touched. Each problem is one line: the key, the value, and
what is accepted. This file has a misspelt key:"""


def page() -> str:
    """The reference of the stack file."""
    return markdown.page(
        "# Settings",
        _INTRODUCTION,
        block("yaml", GOOD.read_text()),
        "## Errors",
        _ERRORS,
        block("yaml", BAD.read_text().partition("\n")[2]),
        f"`./watchstack check --stack-file tests/stacks/bad/{BAD.name}` exits with 2 and says:",
        block("text", f"refused\n{refusal(BAD)}"),
        "## Values",
        table(("kind", "accepted", "for example"), ([kind.name, kind.words, codes(kind.accepted)] for kind in KINDS)),
        "## Basics",
        table(
            _HEAD,
            (row for key, hint, field in keys(Settings) if not _model(hint) for row in _row("", key, hint, field)),
        ),
        *(
            part
            for key, hint, field in keys(Settings)
            if (model := _model(hint))
            for part in _section(key, field, model)
        ),
    )


def refusal(path: Path) -> str:
    """What is said of a stack file that cannot be used."""
    try:
        plan.make(settings.from_stack_file(path, "example"), {})
    except Refused as refused:
        return str(refused)
    raise ValueError(f"{path} is in order; the page needs a file that is refused")


def keys(model: type[BaseModel]) -> Iterator[tuple[str, Any, FieldInfo]]:
    """Key, type with its constraints, and field, of all that a file may hold."""
    hints = get_type_hints(model, include_extras=True)
    for name, field in model.model_fields.items():
        if not field.exclude:
            yield field.alias or name, hints[name], field


def _section(key: str, field: FieldInfo, model: type[BaseModel]) -> tuple[str, str, str, str]:
    chosen = _CHOSEN.get(key)
    where = f"{key}.{chosen}." if chosen else f"{key}."
    about = f"{field.description}{' Required.' if field.is_required() else ''}"
    entry = f"`{chosen}`: {model.__doc__}" if chosen else ""
    return f"## {key}", about, entry, table(_HEAD, _rows(model, where))


def _rows(model: type[BaseModel], where: str) -> Iterator[list[str]]:
    for key, hint, field in keys(model):
        yield from _row(where, key, hint, field)


def _row(where: str, key: str, hint: Any, field: FieldInfo) -> Iterator[list[str]]:
    """The row of a key; of a key that holds others, theirs."""
    if inner := _model(hint):
        yield from _rows(inner, "".join(f"{step}." for step in (f"{where}{key}", _CHOSEN.get(key)) if step))
    else:
        yield [code(f"{PROJECT}:{where}{key}"), _accepted(hint, field), _default(field), field.description or ""]


def _model(hint: Any) -> type[BaseModel] | None:
    """The model that a type is, or is a map of, or may be."""
    parts = get_args(hint)
    inner = parts[1] if get_origin(hint) is dict else next((part for part in parts if _model(part)), hint)
    return inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None


def _accepted(hint: Any, field: FieldInfo) -> str:
    """What a key takes, in words. TypeError for a type that has none here."""
    parts = get_args(hint)
    if kind := next((kind for kind in KINDS if kind.hint == hint), None):
        return kind.name
    if type(None) in parts:
        return _accepted(next(part for part in parts if part is not type(None)), field)
    if get_origin(hint) is Literal:
        return codes(parts)
    if get_origin(hint) is tuple:
        return f"list of {_accepted(parts[0], field)}"
    if get_origin(hint) is dict:
        return f"map from {_accepted(parts[0], field)} to {_accepted(parts[1], field)}"
    if hint is bool:
        return "`true`, `false`"
    limits = {type(limit): limit for limit in field.metadata}
    if hint is int:
        return f"whole number from {limits[Ge].ge} to {limits[Le].le}"
    if hint is float:
        return "number"
    if hint is str:
        return f"text of at least {limits[MinLen].min_length} characters" if MinLen in limits else "text"
    raise TypeError(f"{hint}: no words for this type in docs/settings.py")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default is None:
        return "none"
    return code(field.default if isinstance(field.default, str) else json.dumps(field.default))
