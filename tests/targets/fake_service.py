"""A service that reloads on SIGHUP, refuses `bad` in its configuration, and dies of `deadly` in its arguments."""

import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

CONFIG = Path("etc/main.conf")
state = {"success": 1, "loaded": time.time(), "text": CONFIG.read_text()}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        metrics = f"reload_success {state['success']}\nreload_time {state['loaded']}\n"
        self.wfile.write((metrics if self.path == "/metrics" else str(state["text"])).encode())

    def log_message(self, *_arguments: object) -> None:
        """Quiet: a test's output is its own."""


def reload(*_arguments: object) -> None:
    text = CONFIG.read_text()
    if "bad" in text:
        state["success"] = 0
    else:
        state.update(success=1, loaded=time.time(), text=text)


if "deadly" in sys.argv:
    sys.exit("deadly argument: cannot start")
signal.signal(signal.SIGHUP, reload)
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
