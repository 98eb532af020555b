"""JSON in and out: a bounded request body, what is asked in it, and refusals as `{"error": ...}`."""

import json
from collections.abc import Sequence
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

T = TypeVar("T")


async def json_body(request: Request, limit: int = 64 * 1024) -> Any:
    """The parsed body; HTTPException 413 above `limit` bytes, 422 when it is no JSON."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise HTTPException(413, f"the body is larger than the {limit} bytes accepted")
    try:
        value = json.loads(body)
        # Python reads more than JSON has: NaN, 1e999, half a surrogate pair. None of them can be sent on.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as problem:
        raise HTTPException(422, f"the body is not JSON: {problem}") from problem
    return value


async def json_object(request: Request) -> dict[str, Any]:
    """The parsed body, which must be a JSON object."""
    value = await json_body(request)
    if not isinstance(value, dict):
        raise HTTPException(422, f"the body is a JSON {type(value).__name__}; an object is accepted")
    return value


async def refusal(_request: Request, problem: Exception) -> JSONResponse:
    """Exception handler for HTTPException."""
    assert isinstance(problem, HTTPException)  # noqa: S101 - Starlette calls it for the class it is set for
    return JSONResponse({"error": problem.detail}, problem.status_code, problem.headers)


def text_of(asked: dict[str, Any], key: str, longest: int = 200) -> str:
    """A text of a request body; HTTPException 422 when it is none, empty or too long."""
    value = asked.get(key)
    if isinstance(value, str) and 0 < len(value) <= longest:
        return value
    raise HTTPException(422, f"{key} {value!r:.80} is not accepted; give a text of 1 to {longest} characters")


def one_of(key: str, value: object, accepted: Sequence[str]) -> str:
    """An accepted value; HTTPException 422 when it is another."""
    if isinstance(value, str) and value in accepted:
        return value
    raise HTTPException(422, f"{key} {value!r} is not accepted; give one of {', '.join(accepted)}")


def found(value: T | None, what: str) -> T:
    """What was looked for; HTTPException 404 when there is none."""
    if value is None:
        raise HTTPException(404, f"no {what}")
    return value
