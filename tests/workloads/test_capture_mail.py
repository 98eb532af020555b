"""Mail over real SMTP becomes a notification like any other."""

import asyncio
import smtplib
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from workloads import capture_mail
from workloads.capture import MAIL, Capture
from workloads.capture_page import Message, messages
from workloads.serve import Address

LARGEST = 20_000


@pytest.fixture(name="capture")
def _capture(tmp_path: Path) -> Iterator[Capture]:
    made = Capture(tmp_path)
    yield made
    made.notifications.close()


@pytest.fixture(name="port")
def _port(capture: Capture) -> Iterator[int]:
    """The port of a mail server that runs for the length of a test."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        number: int = free.getsockname()[1]
    loop = asyncio.new_event_loop()
    serving = capture_mail.serve(Address("127.0.0.1", number), partial(capture.take, MAIL), LARGEST)
    task = loop.create_task(serving)

    def run() -> None:
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(task)

    thread = Thread(target=run)
    thread.start()
    yield number
    loop.call_soon_threadsafe(task.cancel)
    thread.join()
    loop.close()


def _client(port: int) -> smtplib.SMTP:
    for attempt in Retrying(
        stop=stop_after_delay(5), wait=wait_fixed(0.02), retry=retry_if_exception_type(OSError), reraise=True
    ):
        with attempt:
            return smtplib.SMTP("127.0.0.1", port, timeout=5)
    raise AssertionError


def _mail(subject: str, text: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "alerts@example.org", "a@example.org", subject
    message.set_content(text)
    return message


def _kept(capture: Capture) -> list[dict[str, Any]]:
    return [found.told() for found in capture.notifications.select(MAIL)]


def test_a_mail_is_kept_with_its_envelope_its_text_and_its_headers(capture: Capture, port: int) -> None:
    with _client(port) as client:
        message = _mail("[FIRING:1] HighErrorRate (critical)", "6 % der Anfragen über der Grenze\n")
        client.send_message(message, to_addrs=["a@example.org", "b@example.org"])
    [kept] = _kept(capture)
    assert kept["path"] == "/email"
    body = kept["body"]
    assert (body["from"], body["to"]) == ("alerts@example.org", ["a@example.org", "b@example.org"])
    assert body["subject"] == "[FIRING:1] HighErrorRate (critical)"
    assert body["text"] == "6 % der Anfragen über der Grenze\n"
    assert body["headers"]["To"] == "a@example.org"
    assert list(messages(body)) == [Message(body["subject"], body["text"])]


def test_the_text_of_a_mail_of_several_parts_is_the_plain_one(capture: Capture, port: int) -> None:
    message = _mail("two parts", "plain\n")
    message.add_alternative("<b>rich</b>", subtype="html")
    with _client(port) as client:
        client.send_message(message)
    assert [kept["body"]["text"] for kept in _kept(capture)] == ["plain\n"]


def test_a_mail_without_a_subject_or_a_body_is_kept_too(capture: Capture, port: int) -> None:
    with _client(port) as client:
        client.sendmail("x@example.org", ["y@example.org"], b"")
    [kept] = _kept(capture)
    assert (kept["body"]["subject"], kept["body"]["text"]) == ("", "")


def test_a_large_mail_is_refused(capture: Capture, port: int) -> None:
    with _client(port) as client, pytest.raises(smtplib.SMTPException, match="552"):
        client.send_message(_mail("large", "x\n" * LARGEST))
    assert _kept(capture) == []
