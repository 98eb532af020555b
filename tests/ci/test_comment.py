"""One comment, made once and then updated, on either host, and what stops it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from ci import comment
from ci.comment import MARKER, Host, Unsaid
from review.text import LIMIT

GITHUB = {"GITHUB_REPOSITORY": "team/stack", "GITHUB_API_URL": "https://api.example.org", "GITHUB_TOKEN": "t"}
GITLAB = {"CI_PROJECT_ID": "42", "CI_API_V4_URL": "https://git.example.org/api/v4", "GITLAB_TOKEN": "t"}


class Comments:
    """What a code host keeps: comments by id, in pages, and the requests that it had."""

    def __init__(self, *bodies: str) -> None:
        self.bodies = dict(enumerate(bodies, start=1))
        self.asked: list[tuple[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append((request.method, request.url.path))
        if request.method == "GET":
            size, page = int(request.url.params["per_page"]), int(request.url.params["page"])
            found = [{"id": number, "body": body} for number, body in self.bodies.items()]
            return httpx.Response(200, json=found[(page - 1) * size : page * size])
        number = max(self.bodies, default=0) + 1 if request.method == "POST" else int(request.url.path.split("/")[-1])
        self.bodies[number] = json.loads(request.content)["body"]
        return httpx.Response(200, json={"id": number})

    def publish(self, there: Host, text: str) -> str:
        with httpx.Client(transport=httpx.MockTransport(self), headers=there.headers) as client:
            return comment.publish(client, there, text)


@pytest.mark.parametrize("env", [GITHUB, GITLAB], ids=["github", "gitlab"])
def test_a_comment_is_made_once_and_then_updated_in_place(env: dict[str, str]) -> None:
    there, comments = comment.host(env, 7), Comments("Looks good", f"I quote {MARKER}")
    assert comments.publish(there, "first") == "made"
    assert comments.publish(there, "second") == "updated"
    assert comments.bodies == {1: "Looks good", 2: f"I quote {MARKER}", 3: f"{MARKER}\nsecond"}


def test_the_addresses_are_those_of_the_hosts() -> None:
    comments = Comments(f"{MARKER}\nold")
    comments.publish(comment.host(GITHUB, 7), "new")
    comments.publish(comment.host(GITLAB, 7), "new")
    assert comments.asked == [
        ("GET", "/repos/team/stack/issues/7/comments"),
        ("PATCH", "/repos/team/stack/issues/comments/1"),
        ("GET", "/api/v4/projects/42/merge_requests/7/notes"),
        ("PUT", "/api/v4/projects/42/merge_requests/7/notes/1"),
    ]


def test_a_comment_on_a_later_page_is_found() -> None:
    comments = Comments(*["another"] * 150, f"{MARKER}\nold")
    assert comments.publish(comment.host(GITHUB, 7), "new") == "updated"
    assert comments.bodies[151] == f"{MARKER}\nnew"


def test_a_comment_over_the_limit_is_not_sent() -> None:
    comments = Comments()
    with pytest.raises(Unsaid, match="at most 60000 fit"):
        comments.publish(comment.host(GITHUB, 7), "x" * (LIMIT + 1))
    assert comments.asked == []


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({}, "neither GITHUB_REPOSITORY nor CI_PROJECT_ID is set"),
        ({**GITHUB, "GITHUB_TOKEN": ""}, "GITHUB_TOKEN is not set"),
        ({key: value for key, value in GITLAB.items() if key != "GITLAB_TOKEN"}, "GITLAB_TOKEN is not set"),
    ],
)
def test_without_a_runner_or_a_token_it_says_what_is_missing(env: dict[str, str], said: str) -> None:
    with pytest.raises(Unsaid, match=said):
        comment.host(env, 7)


def test_a_host_that_refuses_fails_the_job_and_the_token_is_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client: Callable[..., Any] = httpx.Client
    refuses = httpx.MockTransport(lambda _: httpx.Response(403))
    monkeypatch.setattr(httpx, "Client", lambda **options: client(transport=refuses, **options))
    for name, value in {**GITHUB, "GITHUB_TOKEN": "do-not-tell"}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "comment.md").write_text("text")
    assert comment.main(["--number", "7", str(tmp_path / "comment.md")]) == 1
    said = capsys.readouterr().err
    assert "403 Forbidden" in said
    assert "do-not-tell" not in said
