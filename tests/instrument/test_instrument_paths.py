"""Route labels are as many as the application has routes, whatever clients ask for."""

import random

import pytest

from instrument.http.paths import Paths


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("/api/db/tasks/TASK-123", "/api/db/tasks/{task_id}"),
        ("/api/db/audit/TASK-456", "/api/db/audit/{task_id}"),
        ("/users/42", "/users/{id}"),
        ("/users/42/posts/7", "/users/{id}/posts/{id}"),
        ("/files/123e4567-e89b-12d3-a456-426614174000", "/files/{id}"),
        ("/commits/9c409e7f", "/commits/{id}"),
        ("/commits/9C409E7F00AA", "/commits/{id}"),
        ("/feedback", "/feedback"),
        ("/decade", "/decade"),
        ("/v2/items", "/v2/items"),
        ("/", "/"),
        ("/" + "a" * 300, "unmatched"),
        ("/a\ud800", "unmatched"),
        ("/a\nb", "unmatched"),
    ],
)
def test_ids_of_a_path_are_replaced(path: str, label: str) -> None:
    assert Paths().label(path, None, 200) == label


@pytest.mark.parametrize("status", [404, 405])
def test_path_that_is_not_served_is_unmatched(status: int) -> None:
    assert Paths().label("/wp-login.php", None, status) == "unmatched"


def test_template_of_the_router_counts_whatever_the_status() -> None:
    assert Paths().label("/tasks/7", "/tasks/{name}", 404) == "/tasks/{name}"


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("/tasks/TASK-1", "/tasks/{task_id}"),
        ("/tasks/anything", "/tasks/{task_id}"),
        ("/tasks/new", "/tasks/new"),
        ("/tasks/1/more", "unmatched"),
        ("/files/a/b/c.txt", "/files/{name:path}"),
        ("/taskszzz", "unmatched"),
        ("/v1.0/x", "/v1.0/x"),
        ("/v1a0/x", "unmatched"),
    ],
)
def test_path_is_compared_with_the_known_templates(path: str, label: str) -> None:
    paths = Paths(["/tasks/{task_id}", "/tasks/new", "/files/{name:path}", "/v1.0/x"])
    assert paths.label(path, None, 404) == label


def test_template_that_is_not_known_is_unmatched() -> None:
    assert Paths(["/a"]).label("/b", "/b", 200) == "unmatched"


def test_labels_are_as_many_as_allowed_and_those_that_came_first_stay() -> None:
    paths = Paths(limit=10)
    rng = random.Random(3)
    labels = {paths.label(f"/{rng.randrange(36**8):x}zz/page", None, 200) for _ in range(10_000)}
    assert len(labels) == 10
    assert "unmatched" in labels
    assert paths.label("/late", "/late", 200) == "unmatched"
    assert {paths.label(label, label, 200) for label in labels} == labels


def test_hundred_templates_are_all_labels() -> None:
    templates = [f"/page-{number}" for number in range(300)]
    paths = Paths(templates)
    assert [paths.label(template, template, 200) for template in templates] == templates
