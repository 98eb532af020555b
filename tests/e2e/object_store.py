"""A store that speaks S3, in memory, with a bucket and the key to it."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from standins import demand

from toolchain.programs import program

BUCKET = "watchstack"
KEY, SECRET = "AKIDWATCHSTACK", "open-sesame-of-the-bucket"


@dataclass(frozen=True, kw_only=True)
class ObjectStore:
    """`address` is HOST:PORT, `credentials` a file with the key as AWS writes it."""

    address: str
    credentials: Path

    @property
    def settings(self) -> dict[str, object]:
        """What a stack file says of it, beside the file of the secret `bucket`."""
        return {"endpoint": self.address, "bucket": BUCKET, "credentials": "bucket", "insecure": True}

    def objects(self) -> list[str]:
        """The names of what is in the bucket."""
        login = {"Authorization": f"AWS4-HMAC-SHA256 Credential={KEY}/x"}
        answer = httpx.get(self._url, params={"list-type": "2"}, headers=login, trust_env=False)
        return re.findall(r"<Key>(.*?)</Key>", answer.raise_for_status().text)

    def blocks(self, environment: str) -> list[str]:
        """The names of what describes each block of samples of an environment."""
        own = re.compile(rf"{environment}/metrics/[0-9A-Z]{{26}}/meta\.json")
        return [name for name in self.objects() if own.fullmatch(name)]

    def let_in_without_a_key(self) -> bool:
        return httpx.get(self._url, trust_env=False).is_success

    @property
    def _url(self) -> str:
        return f"http://{self.address}/{BUCKET}"


@contextmanager
def object_store(directory: Path, address: str) -> Iterator[ObjectStore]:
    """One that runs for the length of a block, with its log and its key in a directory."""
    demand.require(["fakes3"])
    credentials = directory / "key"
    credentials.write_text(f"[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n")
    line = [str(program("fakes3")), f"-listen={address}", f"-bucket={BUCKET}", f"-access-key={KEY}"]
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(line, stdout=log, stderr=log)
    try:
        yield ObjectStore(address=address, credentials=credentials)
    finally:
        process.terminate()
        process.wait(20)
