"""The simulated Qdrant finds what is near, refuses as Qdrant does, and keeps a bounded number of points."""

from collections.abc import Iterator

import httpx
import pytest
from asgi_client import Client, opened

from workloads.lmmc.qdrant import KEPT, Qdrant
from workloads.lmmc.vectors import DIMENSIONS, embed

POINTS = "/collections/tasks/points"


@pytest.fixture(name="qdrant")
def _qdrant() -> Iterator[Client]:
    with opened(Qdrant(1, pace=0).app) as client:
        created = client.request("PUT", "/collections/tasks", json={"vectors": {"size": 2, "distance": "Cosine"}})
        assert created.json()["result"] is True
        yield client


def _put(qdrant: Client, *points: dict[str, object]) -> httpx.Response:
    return qdrant.request("PUT", POINTS, json={"points": points})


def _found(qdrant: Client, *vector: float, limit: int = 10) -> list[int]:
    answer = qdrant.post(f"{POINTS}/search", {"vector": vector, "limit": limit}).json()
    assert answer["status"] == "ok"
    return [point["id"] for point in answer["result"]]


def test_search_gives_the_nearest_first(qdrant: Client) -> None:
    _put(qdrant, {"id": 1, "vector": [1, 0]}, {"id": 2, "vector": [0, 5]}, {"id": 3, "vector": [2, 2]})
    assert _found(qdrant, 0, 1) == [2, 3, 1]
    assert _found(qdrant, 9, 1, limit=1) == [1]


def test_score_is_the_cosine_and_the_payload_comes_back(qdrant: Client) -> None:
    _put(qdrant, {"id": 7, "vector": [3, 4], "payload": {"status": "pending"}})
    (point,) = qdrant.post(f"{POINTS}/search", {"vector": [30, 40], "limit": 1}).json()["result"]
    assert point["score"] == pytest.approx(1)
    assert point["payload"] == {"status": "pending"}


def test_upsert_replaces_and_delete_removes(qdrant: Client) -> None:
    _put(qdrant, {"id": 1, "vector": [1, 0]}, {"id": 2, "vector": [1, 1]})
    _put(qdrant, {"id": 1, "vector": [0, 1]})
    assert _found(qdrant, 1, 0) == [2, 1]
    assert qdrant.post(f"{POINTS}/delete", {"points": [2, 99]}).status_code == 200
    assert _found(qdrant, 1, 0) == [1]


def test_points_are_bounded_and_the_longest_not_written_goes(qdrant: Client) -> None:
    _put(qdrant, *({"id": number, "vector": [number, 1]} for number in range(KEPT)))
    _put(qdrant, {"id": 0, "vector": [-1, 0]}, {"id": KEPT, "vector": [1, 0]})
    assert _found(qdrant, -1, 0, limit=1) == [0]
    assert 1 not in _found(qdrant, 1, 1, limit=100)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/collections/none/points/search", {"vector": [1, 0], "limit": 1}, 404),
        (f"{POINTS}/search", {"vector": [1, 0, 0], "limit": 1}, 400),
        (f"{POINTS}/search", {"vector": ["a", "b"], "limit": 1}, 400),
        (f"{POINTS}/search", {"vector": [1, 0]}, 422),
        (f"{POINTS}/search", {"vector": [1, 0], "limit": 0}, 422),
        (f"{POINTS}/delete", {"points": "1"}, 422),
        (f"{POINTS}/delete", {"points": ["1"]}, 400),
        (f"{POINTS}/delete", [1], 422),
    ],
)
def test_bad_request_is_refused_with_a_reason(qdrant: Client, path: str, body: object, status: int) -> None:
    answer = qdrant.post(path, body)
    assert answer.status_code == status
    assert answer.json()["status"]["error"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/collections/tasks", {"vectors": {"size": 2}}),
        ("/collections/more", {"vectors": {"size": 0}}),
        ("/collections/more", {"vectors": 2}),
        (POINTS, {"points": [{"vector": [1, 0]}]}),
        (POINTS, {"points": [3]}),
    ],
)
def test_bad_write_is_refused(qdrant: Client, path: str, body: object) -> None:
    assert qdrant.request("PUT", path, json=body).status_code in (400, 422)
    assert qdrant.get("/collections").json()["result"]["collections"] == [{"name": "tasks"}]


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
def test_probes_pass(qdrant: Client, path: str) -> None:
    assert qdrant.get(path).status_code == 200


def test_texts_that_share_words_are_near() -> None:
    def cosine(one: str, other: str) -> float:
        first, second = embed(one), embed(other)
        product = sum(map(float.__mul__, first, second))
        lengths = sum(each * each for each in first) * sum(each * each for each in second)
        return float(product / lengths**0.5)

    assert len(embed("fix the login")) == DIMENSIONS
    assert cosine("Fix the login", "fix the login") == pytest.approx(1)
    assert cosine("fix the login", "fix the login page") > cosine("fix the login", "update a parser")
