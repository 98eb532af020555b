"""A publisher of releases on 127.0.0.1, for tests of what the installer makes of good and bad ones."""

import contextlib
import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SCRIPT = b"#!/bin/sh\necho released\n"


@dataclass
class Publisher:
    """Files by path, and the paths asked for. `stalls_at` is answered by half until `go_on` is set."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    stalls_at: str = ""
    stalled: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def publish(self, name: str, content: bytes, checksums: str) -> None:
        """A file, and its sum as `sha256sum` prints it."""
        self.files[f"/{name}"] = content
        self.files[f"/{checksums}"] = f"{hashlib.sha256(content).hexdigest()}  {name}\n".encode()

    def publish_greeter(self, members: dict[str, bytes]) -> None:
        self.publish("greeter-1.2.0.tar.gz", tar(members), "sha256sums.txt")


def tar(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


@contextlib.contextmanager
def publishing() -> Iterator[Publisher]:
    """Publishes greeter (tar, one top folder) and bundle (zip, kept whole)."""
    made = Publisher()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(self.path)
            content = made.files.get(self.path)
            whole = b"" if content is None else content
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(whole)))
            self.end_headers()
            self.wfile.write(whole[: len(whole) // 2])
            self.wfile.flush()
            if self.path == made.stalls_at:
                made.stalled.set()
                made.go_on.wait(20)
            self.wfile.write(whole[len(whole) // 2 :])

        def do_CONNECT(self) -> None:
            made.asked.append(f"CONNECT {self.path}")
            self.send_response(403)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Clients that are killed half-way belong to the tests."""

    server = Server(("127.0.0.1", 0), Handler)
    made.address = f"http://127.0.0.1:{server.server_port}"
    top = "greeter-1.2.0.linux-amd64"
    made.publish_greeter({f"{top}/greeter": SCRIPT, f"{top}/waver": SCRIPT, f"{top}/LICENSE": b"free"})
    bundle = zipped({"bundle-2.0.0/bin/bundle": SCRIPT, "bundle-2.0.0/conf/defaults.ini": b"[server]"})
    made.publish("bundle-2.0.0.zip", bundle, "bundle-2.0.0.zip.sha256")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield made
    finally:
        made.go_on.set()
        server.shutdown()
        thread.join()
        server.server_close()
