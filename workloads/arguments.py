"""The command line that all simulated applications share."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workloads.serve import Address, address


@dataclass(frozen=True)
class Arguments:
    """`listen` and `peers` by the name of the port or service; `extra` holds what a program added."""

    listen: dict[str, Address]
    peers: dict[str, str]
    log_file: Path | None
    otlp: str | None
    seed: int
    rate: float
    ratio: float
    data: Path
    secrets: Path
    extra: argparse.Namespace

    def secret(self, name: str) -> str | None:
        """The value of a secret, None where there is no file for it."""
        path = self.secrets / name
        return path.read_text(encoding="utf-8").strip() if path.is_file() else None


def parse(prog: str, add: Callable[[argparse.ArgumentParser], None] | None = None) -> Arguments:
    """The arguments of this process; `add` declares more of them."""
    parser = argparse.ArgumentParser(prog=prog)
    parser.add_argument("--listen", type=_listen, action="append", required=True, metavar="NAME=HOST:PORT")
    parser.add_argument("--peer", type=_pair, action="append", default=[], metavar="NAME=URL", help="another service")
    parser.add_argument("--log-file", type=Path, help="JSON lines, rotated; default: standard output")
    parser.add_argument("--otlp", metavar="URL", help="where traces go, OTLP over HTTP; default: nowhere")
    parser.add_argument("--seed", type=int, default=1, help="of everything that is random")
    parser.add_argument("--rate", type=float, default=0.0, help="requests a second that it sends itself")
    parser.add_argument("--ratio", type=float, default=1.0, help="share of the requests that are traced")
    parser.add_argument("--data", type=Path, default=Path("data"), help="directory of what it keeps")
    parser.add_argument("--secrets", type=Path, default=Path("secrets"), help="directory of secrets, one a file")
    if add:
        add(parser)
    asked = parser.parse_args()
    return Arguments(
        listen=dict(asked.listen),
        peers=dict(asked.peer),
        log_file=asked.log_file,
        otlp=asked.otlp,
        seed=asked.seed,
        rate=asked.rate,
        ratio=asked.ratio,
        data=asked.data,
        secrets=asked.secrets,
        extra=asked,
    )


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals or not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _listen(text: str) -> tuple[str, Address]:
    name, value = _pair(text)
    return name, address(value)
