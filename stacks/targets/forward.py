"""Ports of pods on this machine, through the API of their cluster, for as long as this process lives."""

# Of the package, each class that is named is a module that is read: an annotation need not.
from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable

from kubernetes import client, stream

# The pod that a connection goes to.
Find = Callable[[], tuple[str, str]]

_CHUNK = 65536


class Forwarder:
    """Listens on free ports of 127.0.0.1; each connection is one to a pod that is there at that time."""

    def __init__(self, api: client.ApiClient) -> None:
        self._configuration = api.configuration

    def open(self, find: Find, port: int) -> str:
        """host:port that leads to the port of the pod that `find` names, by namespace and name."""
        connect = self._connect

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                _pump(self.request, connect(*find(), port))

        server = _Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"127.0.0.1:{server.server_address[1]}"

    def _connect(self, namespace: str, name: str, port: int) -> socket.socket:
        # A client of its own: the package turns one into a client of websockets while it connects.
        core = client.CoreV1Api(client.ApiClient(self._configuration))
        there = stream.portforward(core.connect_get_namespaced_pod_portforward, name, namespace, ports=str(port))
        found: socket.socket = there.socket(port)
        found.settimeout(None)
        return found


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, _request: object, _address: object) -> None:
        """Who connected sees that the connection ends, and says so."""


def _pump(here: socket.socket, there: socket.socket) -> None:
    """Hand on what each side says, until one of them ends."""
    back = threading.Thread(target=_copy, args=(there, here), daemon=True)
    back.start()
    _copy(here, there)
    back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while chunk := source.recv(_CHUNK):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        target.close()
