"""Families count what their applications do, under the names that the application chose."""

import asyncio

import pytest
from asgi_calls import counted, series

from instrument import SLOW, Metrics
from instrument.families import (
    Ai,
    Cache,
    Database,
    Errors,
    Messages,
    Operations,
    Pool,
    RateLimits,
    Tasks,
    Vectors,
    WebSockets,
)


@pytest.fixture(name="metrics")
def _metrics() -> Metrics:
    return Metrics("shop_", keep=0)


def test_attempts_count_by_outcome_and_exceptions_pass(metrics: Metrics) -> None:
    calls = Operations(metrics, "calls_total", "call_seconds", labels={"to": ("bank",)}, meaning="Calls")
    with calls.attempt(to="bank"):
        pass
    with pytest.raises(OSError, match="refused"), calls.attempt(to="bank"):
        raise OSError("refused")
    calls.count(to="bank", succeeded=False)
    assert counted(metrics, "shop_calls_total") == {("success", "bank"): 1, ("failure", "bank"): 2}
    assert counted(metrics, "shop_call_seconds_count") == {("bank",): 2}


def test_decorated_functions_count_plain_or_async(metrics: Metrics) -> None:
    calls = Operations(metrics, "calls_total", labels={"to": ("bank",)}, meaning="Calls")

    @calls.tracks(to="bank")
    def plain(amount: int) -> int:
        return amount + 1

    @calls.tracks(to="bank")
    async def later(amount: int) -> int:
        raise OSError(amount)

    assert plain(1) == 2
    with pytest.raises(OSError, match="7"):
        asyncio.run(later(7))
    assert counted(metrics, "shop_calls_total") == {("success", "bank"): 1, ("failure", "bank"): 1}


def test_queries_count_whatever_comes_of_them(metrics: Metrics) -> None:
    database = Database(metrics, ("get", "ping"))
    with pytest.raises(OSError, match="gone"), database.query("get"):
        raise OSError("gone")
    assert counted(metrics, "shop_db_queries_total") == {("get",): 1}
    assert counted(metrics, "shop_db_query_duration_seconds_count") == {("get",): 1}


def test_pool_is_read_at_each_scrape(metrics: Metrics) -> None:
    state = {"size": 5, "checked_in": 4, "checked_out": 1, "overflow": 0, "waiting": 9}
    Pool(metrics, lambda: state, maximum=("db_pool_limit", lambda: 15))
    assert counted(metrics, "shop_db_pool_connections") == {("size",): 5, ("checked_in",): 4, ("checked_out",): 1}
    assert counted(metrics, "shop_db_pool_limit") == {(): 15}


def test_cache_lookups_count_by_result(metrics: Metrics) -> None:
    cache = Cache(metrics, ("page",))
    cache.hit("page")
    cache.miss("page")
    cache.error("page")
    assert counted(metrics, "shop_cache_operations_total") == {
        ("page", "hit"): 1, ("page", "miss"): 1, ("page", "error"): 1,
    }  # fmt: skip


def test_ai_calls_have_tokens_and_models_only_where_asked(metrics: Metrics) -> None:
    ai = Ai(metrics, ("summary",), models=("small",), tokens="ai_tokens_total", buckets=SLOW)
    with ai.attempt(model="small", operation="summary"):
        ai.used("small", prompt=10, completion=3)
    assert counted(metrics, "shop_ai_requests_total") == {("small", "summary", "success"): 1}
    assert counted(metrics, "shop_ai_tokens_total") == {("small", "prompt"): 10, ("small", "completion"): 3}
    other = Metrics()
    Ai(other, ("summary",)).used("small", prompt=1, completion=1)
    assert series(other, "ai_requests_total") == {("summary", "success"), ("summary", "failure")}


def test_messages_count_by_channel(metrics: Metrics) -> None:
    messages = Messages(metrics, ("tasks",))
    with messages.sending("tasks"):
        pass
    assert counted(metrics, "shop_messages_sent_total") == {("tasks", "success"): 1}


def test_tasks_take_each_their_own_labels(metrics: Metrics) -> None:
    tasks = Tasks(
        metrics,
        created=("tasks_total", {"priority": ("low",), "team": ("a",)}),
        completed=("tasks_completed_total", {"team": ("a",)}),
        duration=("task_seconds", {"priority": ("low",)}, (60, 120)),
    )
    tasks.created(priority="low", team="a")
    tasks.completed(90, priority="low", team="a")
    tasks.completed(team="a", priority="low")
    assert counted(metrics, "shop_tasks_total") == {("low", "a"): 1}
    assert counted(metrics, "shop_tasks_completed_total") == {("a",): 2}
    assert counted(metrics, "shop_task_seconds_count") == {("low",): 1}


def test_websockets_are_open_for_the_length_of_the_block(metrics: Metrics) -> None:
    sockets = WebSockets(metrics, active="ws_active", messages=("ws_messages_total", ("chat", "other")))
    with sockets.connection():
        sockets.message("in", "chat")
        sockets.message("out", "unheard of")
        assert counted(metrics, "shop_ws_active") == {(): 1}
    assert counted(metrics, "shop_ws_active") == {}
    assert counted(metrics, "shop_ws_messages_total") == {("in", "chat"): 1, ("out", "other"): 1}


def test_vector_searches_have_time_and_nearness(metrics: Metrics) -> None:
    vectors = Vectors(metrics, ("docs",), duration="search_seconds", similarity="similarity")
    vectors.searched("docs", 0.2, 0.85)
    assert counted(metrics, "shop_search_seconds_sum") == {("docs",): 0.2}
    assert counted(metrics, "shop_similarity_bucket") == {("docs", "0.9"): 1, ("docs", "1.0"): 1, ("docs", "+Inf"): 1}


def test_rejections_count_by_endpoint_and_clients_near_the_limit_are_read(metrics: Metrics) -> None:
    limits = RateLimits(metrics, ("/tasks",), lambda: 3)
    limits.rejected("/tasks")
    assert counted(metrics, "shop_rate_limit_violations_total") == {("/tasks",): 1}
    assert counted(metrics, "shop_rate_limit_near_limit") == {(): 3}


def test_errors_count_by_type_and_severity(metrics: Metrics) -> None:
    errors = Errors(metrics, ("api",))
    errors.count("api")
    errors.count("api", "warning")
    assert counted(metrics, "shop_errors_total") == {("error", "api"): 1, ("warning", "api"): 1}


def test_families_do_nothing_when_metrics_are_off() -> None:
    metrics = Metrics(enabled=False)
    with Database(metrics, ("get",)).query("get"), WebSockets(metrics, active="ws_active").connection():
        Errors(metrics, ("api",)).count("nonsense")
        Tasks(metrics, created=("tasks_total", {})).completed(7, more="x")
    assert metrics.exposition()[0] == b""
