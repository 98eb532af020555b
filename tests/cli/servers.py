"""Small servers that speak what a verb asks for, on a port of their own."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# Status and body for a path with its query.
Answers = Callable[[str], tuple[int, Any]]


@contextmanager
def served(answers: Answers, password: str | None = None) -> Iterator[int]:
    """The port of a server; with a password, it wants that of `admin`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = f"Basic {base64.b64encode(f'admin:{password}'.encode()).decode()}"
            if password and self.headers.get("Authorization") != wanted:
                status, body = 401, {"message": "Invalid username or password"}
            else:
                status, body = answers(self.path)
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
