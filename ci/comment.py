"""One comment on a pull request, updated in place: `python -m ci.comment --number N FILE`.

On GitHub Actions with GITHUB_TOKEN, on GitLab CI with GITLAB_TOKEN; where, the runner says by its own variables.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from review.text import LIMIT

MARKER = "<!-- watchstack review -->"
_PAGE = 100


class Unsaid(Exception):
    """The comment cannot be made."""


@dataclass(frozen=True, kw_only=True)
class Host:
    """The comments of one pull request: where they are, how one is changed, and with which headers."""

    comments: str
    change: str
    method: str
    headers: Mapping[str, str]


def host(env: Mapping[str, str], number: int) -> Host:
    """The code host that the runner is of."""
    if "GITHUB_REPOSITORY" in env:
        issues = f"{env.get('GITHUB_API_URL', 'https://api.github.com')}/repos/{env['GITHUB_REPOSITORY']}/issues"
        headers = {"Authorization": f"Bearer {_token(env, 'GITHUB_TOKEN')}", "Accept": "application/vnd.github+json"}
        comments = f"{issues}/{number}/comments"
        return Host(comments=comments, change=f"{issues}/comments", method="PATCH", headers=headers)
    if "CI_PROJECT_ID" in env:
        project = f"{env['CI_API_V4_URL']}/projects/{quote(env['CI_PROJECT_ID'], safe='')}"
        notes = f"{project}/merge_requests/{number}/notes"
        token = {"PRIVATE-TOKEN": _token(env, "GITLAB_TOKEN")}
        return Host(comments=notes, change=notes, method="PUT", headers=token)
    raise Unsaid("neither GITHUB_REPOSITORY nor CI_PROJECT_ID is set: this is no runner of GitHub Actions or GitLab CI")


def _token(env: Mapping[str, str], name: str) -> str:
    if not env.get(name):
        raise Unsaid(f"{name} is not set: it is what may write comments")
    return env[name]


def publish(client: httpx.Client, there: Host, text: str) -> str:
    """Make the comment, or put the text in the place of that of the one that is there. Says which."""
    body = {"body": f"{MARKER}\n{text}"}
    if len(body["body"].encode()) > LIMIT + len(MARKER) + 1:
        raise Unsaid(f"the comment has {len(text.encode())} bytes, and at most {LIMIT} fit; `diff --limit` cuts it")
    own = next((each for each in _all(client, there) if str(each["body"]).startswith(MARKER)), None)
    if own is None:
        client.post(there.comments, json=body).raise_for_status()
        return "made"
    client.request(there.method, f"{there.change}/{own['id']}", json=body).raise_for_status()
    return "updated"


def _all(client: httpx.Client, there: Host) -> Iterator[dict[str, Any]]:
    page = 1
    while True:
        found = client.get(there.comments, params={"per_page": _PAGE, "page": page}).raise_for_status().json()
        yield from found
        if len(found) < _PAGE:
            return
        page += 1


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ci.comment", description=__doc__)
    parser.add_argument("--number", required=True, type=int, help="of the pull request or merge request")
    parser.add_argument("file", type=Path, help="the Markdown of the comment")
    options = parser.parse_args(arguments)
    try:
        there = host(os.environ, options.number)
        with httpx.Client(headers=there.headers, timeout=30) as client:
            sys.stdout.write(f"comment {publish(client, there, options.file.read_text())}\n")
    except (Unsaid, httpx.HTTPError) as problem:
        sys.stderr.write(f"no comment: {problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
