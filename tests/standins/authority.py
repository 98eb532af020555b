"""A certificate authority in a folder, for what listens and who asks in a cluster."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from standins.machine import run

_DAYS = "2"
# Nothing of the machine's own configuration.
_CONFIGURATION = "[req]\ndistinguished_name = subject\n[subject]\n"
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc")


@dataclass(frozen=True)
class Certificate:
    """With its key, which only its owner reads."""

    file: Path
    key: Path


@dataclass(frozen=True)
class Authority:
    """Signs certificates, which are beside its own."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> "Authority":
        folder.mkdir(mode=0o700)
        (folder / "openssl.cnf").write_text(_CONFIGURATION)
        own = cls(folder)
        own._request("authority", ["/CN=standins"], ["basicConstraints=critical,CA:TRUE", "keyUsage=keyCertSign"])
        return own

    @property
    def file(self) -> Path:
        return self.folder / "authority.crt"

    def issue(self, file: str, name: str, groups: Sequence[str] = (), places: Sequence[str] = ()) -> Certificate:
        """Of a user in groups, as Kubernetes reads it, and of what listens at these names and addresses."""
        subject = [f"/O={_quoted(group)}" for group in groups] + [f"/CN={_quoted(name)}"]
        extensions = ["basicConstraints=CA:FALSE", "extendedKeyUsage=clientAuth,serverAuth"]
        if places:
            extensions.append("subjectAltName=" + ",".join(_place(place) for place in places))
        by = ["-CA", str(self.file), "-CAkey", str(self.folder / "authority.key")]
        return self._request(file, subject, extensions, by)

    def _request(
        self, file: str, subject: Sequence[str], extensions: Sequence[str], by: Sequence[str] = ()
    ) -> Certificate:
        made = Certificate(self.folder / f"{file}.crt", self.folder / f"{file}.key")
        added = [part for each in (*extensions, "subjectKeyIdentifier=hash") for part in ("-addext", each)]
        files = ["-keyout", str(made.key), "-out", str(made.file), "-days", _DAYS]
        configuration = str(self.folder / "openssl.cnf")
        command = ["openssl", "req", "-x509", "-config", configuration, *_KEY, "-subj", "".join(subject)]
        run(*command, *added, *by, *files)
        return made


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("/", "\\/").replace("+", "\\+")


def _place(place: str) -> str:
    try:
        ipaddress.ip_address(place)
    except ValueError:
        return f"DNS:{place}"
    return f"IP:{place}"
