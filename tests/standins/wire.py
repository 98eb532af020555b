"""How Pulumi's engine writes the properties of a resource and is told of it, for the stand-ins of its plugins."""

import contextlib
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NoReturn

import grpc
from google.protobuf import json_format, struct_pb2
from pulumi.runtime import rpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2, provider_pb2_grpc, status_pb2

Props = dict[str, Any]

SECRET = {rpc._special_sig_key: rpc._special_secret_sig}


def props(struct: struct_pb2.Struct) -> Props:
    """The properties, with the marks of secrets."""
    return dict(_whole(json_format.MessageToDict(struct)))


def _whole(value: Any) -> Any:
    """Whole numbers, which the wire has as floating point, as such."""
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def struct(properties: Props) -> struct_pb2.Struct:
    """What `props` reads."""
    made = struct_pb2.Struct()
    made.update(properties)
    return made


def is_secret(value: Any) -> bool:
    """Whether this value as a whole is marked as a secret."""
    return isinstance(value, dict) and value.get(rpc._special_sig_key) == rpc._special_secret_sig


def plain(value: Any) -> Any:
    """The value without the marks of secrets."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if is_secret(value):
        return plain(value["value"])
    return {key: plain(item) for key, item in value.items()}


def has_secret(value: Any) -> bool:
    """Whether a mark of a secret is somewhere in it."""
    return bool(plain(value) != value)


def some(*, changed: bool) -> Any:
    """The answer to whether there is a change."""
    return provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE


def refuse_incomplete(context: grpc.ServicerContext, failed: provider_pb2.ErrorResourceInitFailed) -> NoReturn:
    """The resource is there and failed: Pulumi keeps it in its state, and the next update tries again."""
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=failed.reasons[0])
    status.details.add().Pack(failed)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    refuse(context, failed.reasons[0])


def refuse(context: grpc.ServicerContext, message: str, code: Any = grpc.StatusCode.UNKNOWN) -> NoReturn:
    """Nothing was done."""
    context.abort(code, message)
    raise AssertionError  # it raises, which its type does not say


@dataclass(frozen=True)
class Log:
    """What the engine is told about one resource, each text once."""

    engine: engine_pb2_grpc.EngineStub | None
    urn: str
    said: set[str] = field(default_factory=set)

    def status(self, severity: str, text: str) -> None:
        """For as long as the operation lasts."""
        self._say(severity, text, ephemeral=True)

    def lasting(self, severity: str, text: str) -> None:
        """Shown at the end too."""
        self._say(severity, text, ephemeral=False)

    def _say(self, severity: str, text: str, *, ephemeral: bool) -> None:
        if self.engine is None or text in self.said:
            return
        self.said.add(text)
        number = engine_pb2.LogSeverity.Value(severity)
        message = engine_pb2.LogRequest(severity=number, message=text, urn=self.urn, ephemeral=ephemeral)
        # An engine that has ended does not listen.
        with contextlib.suppress(grpc.RpcError):
            self.engine.Log(message)


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """One that can be told to give up what it waits for."""

    cancelled: threading.Event


def serve(provider: Servicer, workers: int) -> None:
    """Print the port of the provider on 127.0.0.1, and serve so many requests at a time until SIGTERM or SIGINT."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    no_limit = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(max_workers=workers), options=no_limit)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    ended.wait()
    provider.cancelled.set()
    server.stop(grace=5).wait()
