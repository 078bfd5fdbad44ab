"""Client of an endpoint: retries, partial results, and no secrets in messages."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from spa3d.errors import ConfigError
from spa3d.llm_clients.endpoint import Endpoint, EndpointClient, EndpointError, Patience

QUICK = Patience(timeout=5, pause=0, tries=4, workers=2)
GOOD = "A good reply."
HTML = (200, {"Content-Type": "text/html"}, "<html>a page</html>")
JSON = {"Content-Type": "application/json"}

Results = dict[str, tuple[str | None, str]]
Steps = Callable[[int, int], Any]


def make_client(url: str, patience: Patience = QUICK) -> EndpointClient:
    return EndpointClient(Endpoint(url, "m", "--judge.url", "--judge.llm", "--judge endpoint"), patience)


def prompts(count: int) -> dict[str, str]:
    return {f"k{i}": f"number {i}?" for i in range(count)}


def not_empty(key: str, reply: str) -> tuple[str | None, str]:
    return (reply, "") if reply else (None, "the reply is empty")


class Asker:
    """Client of a scripted server; `results` has its results, `server` the requests."""

    def __init__(self, chat_server: Any) -> None:
        self.chat, self.fails, self._make_server = chat_server.chat, chat_server.fails, chat_server
        self.results: Results = {}

    def ask(self, steps: Steps, count: int = 1, patience: Patience = QUICK) -> Results:
        self.server = self._make_server(steps)
        with self.server.serve() as url:
            self.url = url
            make_client(url, patience).ask(
                prompts(count), not_empty, lambda key, *rest: self.results.update({key: rest})
            )
        return self.results

    def fail(self, steps: Steps, count: int = 1, patience: Patience = QUICK) -> str:
        with pytest.raises(EndpointError) as caught:
            self.ask(steps, count, patience)
        assert self.url in str(caught.value)
        return str(caught.value)


@pytest.fixture
def asker(chat_server: Any) -> Asker:
    return Asker(chat_server)


def test_ask_delivers_each_reply_once(asker: Asker) -> None:
    assert asker.ask(lambda number, time: asker.chat(GOOD), count=20) == {f"k{i}": (GOOD, "") for i in range(20)}
    assert len(asker.server.heard) == 20
    path, headers, body = asker.server.heard[0]
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == "Bearer the-key"
    assert body["model"] == "m"
    assert body["messages"][0]["content"] in prompts(20).values()


def test_ask_delivers_replies_during_other_requests(chat_server: Any) -> None:
    """The second prompt is answered only after the first result was handed on."""
    first_handed_on = threading.Event()

    def steps(number: int, time: int) -> Any:
        assert number == 0 or first_handed_on.wait(10)
        return chat_server.chat(GOOD)

    with chat_server(steps).serve() as url:
        seen: list[str] = []

        def on_result(key: str, text: str | None, why_not: str) -> None:
            seen.append(key)
            first_handed_on.set()

        make_client(url).ask(prompts(2), not_empty, on_result)
    assert seen == ["k0", "k1"]


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_busy_server_is_asked_again(asker: Asker, status: int) -> None:
    results = asker.ask(lambda number, time: asker.fails(status) if time <= 2 else asker.chat(GOOD))
    assert results == {"k0": (GOOD, "")}
    assert asker.server.requested == {0: 3}


def test_a_slow_server_is_asked_again(asker: Asker) -> None:
    never = threading.Event()
    results = asker.ask(
        lambda number, time: never if time == 1 else asker.chat(GOOD),
        patience=Patience(timeout=0.3, pause=0, workers=1),
    )
    never.set()
    assert results == {"k0": (GOOD, "")}
    assert asker.server.requested == {0: 2}


def test_ask_delivers_results_before_the_error_of_the_last_try(asker: Asker) -> None:
    message = asker.fail(
        lambda number, time: asker.fails(500) if number == 3 else asker.chat(GOOD),
        count=6,
        patience=Patience(timeout=5, pause=0, tries=4, workers=1),
    )
    assert asker.results == {f"k{i}": (GOOD, "") for i in range(3)}
    assert asker.server.requested[3] == 4
    for part in ("--judge.url", "500", "try 4 of 4", "3 of 6 answers", "the same command goes on"):
        assert part in message


def test_a_pause_that_the_server_asks_for_counts_even_beyond_the_deadline(asker: Asker) -> None:
    message = asker.fail(lambda number, time: asker.fails(429, Retry_After="900"))
    assert asker.server.requested == {0: 1}
    assert "pause of 900 s" in message


def test_a_short_pause_that_the_server_asks_for_is_kept(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(threading.Event, "wait", _noting(threading.Event.wait, waits))
    asker.ask(lambda number, time: asker.fails(429, Retry_After="0.25") if time == 1 else asker.chat(GOOD))
    assert 0.25 in waits


def _noting(wait: Callable[..., bool], into: list[float]) -> Callable[..., bool]:
    def note_wait(self: threading.Event, timeout: float | None = None) -> bool:
        into.append(timeout or 0)
        return wait(self, 0 if timeout == 0.25 else timeout)

    return note_wait


@pytest.mark.parametrize("step", [HTML, (200, JSON, "{broken"), (200, JSON, '{"choices": []}'), (200, JSON, "[1, 2]")])
def test_what_is_no_chat_completion_is_counted_after_a_second_try(asker: Asker, step: Any) -> None:
    results = asker.ask(lambda number, time: step if number == 0 else asker.chat(GOOD), count=2)
    assert results == {"k0": (None, "what the URL answers is no chat completion, twice"), "k1": (GOOD, "")}
    assert asker.server.requested == {0: 2, 1: 1}


@pytest.mark.parametrize("content", ["", None])
def test_a_reply_that_is_of_no_use_is_counted_after_a_second_try(asker: Asker, content: str | None) -> None:
    results = asker.ask(lambda number, time: asker.chat(content if number == 0 else GOOD), count=2)
    assert results == {"k0": (None, "the reply is empty, twice"), "k1": (GOOD, "")}
    assert asker.server.requested == {0: 2, 1: 1}


def test_ask_repeats_one_unusable_reply(asker: Asker) -> None:
    assert asker.ask(lambda number, time: asker.chat("" if time == 1 else GOOD)) == {"k0": (GOOD, "")}


def test_ask_ends_after_unusable_replies_only(asker: Asker) -> None:
    message = asker.fail(lambda number, time: asker.chat(""), 40, Patience(pause=0, workers=1, useless=3))
    assert asker.results == {}, "what only such a server said is asked again"
    assert len(asker.server.heard) < 80
    assert "replies are of no use" in message


def test_ask_delivers_a_few_unusable_replies(asker: Asker) -> None:
    assert set(asker.ask(lambda number, time: asker.chat(""), count=3)) == {"k0", "k1", "k2"}


def test_a_prompt_that_the_endpoint_refuses_costs_only_itself(asker: Asker) -> None:
    results = asker.ask(lambda number, time: asker.fails(400) if number == 0 else asker.chat(GOOD), count=2)
    assert results["k0"][0] is None
    assert "said 400" in results["k0"][1]
    assert results["k1"] == (GOOD, "")
    assert asker.server.requested[0] == 1


@pytest.mark.parametrize(
    ("status", "code", "hint"),
    [
        (401, "", "OPENAI_API_KEY"),
        (403, "", "OPENAI_API_KEY"),
        (404, "", "/v1/models lists the models that --judge.llm can name"),
        (429, "insufficient_quota", "quota"),
    ],
)
def test_ask_ends_at_once_on_a_permanent_error(asker: Asker, status: int, code: str, hint: str) -> None:
    message = asker.fail(lambda number, time: asker.fails(status, code), count=20)
    assert asker.results == {}
    assert len(asker.server.heard) <= QUICK.workers
    assert hint in message


def test_nothing_at_the_url_ends_at_once(chat_server: Any) -> None:
    with chat_server(lambda number, time: chat_server.chat(GOOD)).serve() as url:
        pass
    with pytest.raises(EndpointError, match="nothing answers there") as caught:
        make_client(url).ask(prompts(5), not_empty, lambda *_: None)
    assert url in str(caught.value)
    assert "0 of 5" in str(caught.value)


@pytest.mark.parametrize("status", [400, 401])
def test_ask_hides_a_repeated_key(chat_server: Any, status: int) -> None:
    body, results = json.dumps({"error": {"message": "bad key the-key"}}), list[str]()
    with chat_server(lambda number, time: (status, JSON, body)).serve() as url:
        try:
            make_client(url).ask(prompts(1), not_empty, lambda key, text, why: results.append(why))
        except EndpointError as error:
            results.append(str(error))
    assert "[OPENAI_API_KEY]" in results[0]
    assert "the-key" not in results[0]


def test_a_url_without_a_scheme_is_refused_beforehand() -> None:
    with pytest.raises(ConfigError, match=r"--judge\.url 'localhost:8000' is no URL"):
        make_client("localhost:8000")


def test_without_the_package_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(ConfigError, match=r'--judge endpoint needs .* pip install "spa3d\[endpoint\]"'):
        make_client("http://localhost:1/v1")


def test_a_bug_in_the_parser_is_not_swallowed(chat_server: Any) -> None:
    def raise_bug(key: str, reply: str) -> tuple[str | None, str]:
        raise RuntimeError("a bug")

    with (
        chat_server(lambda number, time: chat_server.chat(GOOD)).serve() as url,
        pytest.raises(RuntimeError, match="a bug"),
    ):
        make_client(url).ask(prompts(1), raise_bug, lambda *_: None)
