"""Mail as the receiver stand-in takes it: SMTP without TLS, for as long as its loop runs."""

import asyncio
from collections.abc import Callable
from email import message_from_bytes, policy
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from workloads.serve import Address

Take = Callable[[dict[str, Any]], None]

# A sender that says nothing for so many seconds is let go.
SILENCE = 60.0


class Mailbox:
    """What aiosmtpd asks of a handler. `take` gets each mail as JSON values."""

    def __init__(self, take: Take) -> None:
        self._take = take

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        self._take(told(envelope.mail_from or "", envelope.rcpt_tos, content))
        return "250 Kept"


def told(sender: str, to: list[str], content: bytes) -> dict[str, Any]:
    """A mail as JSON values; `from` and `to` are those of the envelope."""
    message = message_from_bytes(content, policy=policy.default)
    part = message.get_body(("plain", "html"))
    text = "" if part is None else part.get_payload(decode=True)
    return {
        "from": sender,
        "to": list(to),
        "subject": str(message["subject"] or ""),
        # Whatever charset it claims: what cannot be read is no reason to lose the rest.
        "text": text.decode("utf-8", "replace").replace("\r\n", "\n") if isinstance(text, bytes) else str(text),
        "headers": {name: str(value) for name, value in message.items()},
    }


async def serve(listen: Address, take: Take, largest: int) -> None:
    """Take mail of at most so many bytes until cancelled."""
    loop = asyncio.get_running_loop()

    def session() -> SMTP:
        return SMTP(
            Mailbox(take), data_size_limit=largest, enable_SMTPUTF8=True, hostname="capture", timeout=SILENCE, loop=loop
        )

    async with await loop.create_server(session, listen.host, listen.port) as server:
        await server.serve_forever()
