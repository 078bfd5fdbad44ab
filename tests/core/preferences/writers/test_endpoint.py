import builtins
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from spa3d.contracts.dataset import Record
from spa3d.errors import ConfigError
from spa3d.preferences.writers.contract import Corruption
from spa3d.preferences.writers.endpoint import EndpointError, EndpointWriter, Patience

ANSWER = "A red chair with four legs."
WRONG = "A blue chair with four legs."
QUICK = Patience(timeout=5, pause=0, tries=4, workers=2)

Step = tuple[int, dict[str, str], str] | threading.Event
"""Status, headers and body of one response, or an event before which nothing is said."""


def chat(text: object) -> Step:
    body = {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
    }
    return 200, {"Content-Type": "application/json"}, json.dumps(body)


def fails(status: int, code: str = "", **headers: str) -> Step:
    body = json.dumps({"error": {"message": f"said {status}", "code": code}})
    return status, {"Content-Type": "application/json", **headers}, body


class Script:
    """What a server answers: `steps` says it by the question's number (it stands in the prompt) and how often asked."""

    def __init__(self, steps: Callable[[int, int], Step]) -> None:
        self.steps, self.lock = steps, threading.Lock()
        self.asked: dict[int, int] = {}
        self.heard: list[tuple[str, dict[str, str], dict[str, Any]]] = []

    def next(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> Step:
        prompt = body["messages"][0]["content"]
        number = int(prompt.split("Question: number ")[1].split("?")[0])
        with self.lock:
            self.heard.append((path, headers, body))
            time = self.asked[number] = self.asked.get(number, 0) + 1
        return self.steps(number, time)


@contextmanager
def served(script: Script) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            step = script.next(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            if isinstance(step, threading.Event):
                step.wait(30)
                return
            status, headers, text = step
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(text.encode()))}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("OPENAI_API_KEY", "the-key")


def requests(count: int) -> list[Corruption]:
    def no_cloud() -> np.ndarray:
        raise AssertionError("an endpoint gets no cloud")

    record = Record(id="r", object_id="r", group="r", load=no_cloud, conversations=())
    return [Corruption(f"k{i}", f"number {i}?", ANSWER, record) for i in range(count)]


Told = dict[str, tuple[str | None, str]]


def rewritten(steps: Callable[[int, int], Step], count: int = 1, patience: Patience = QUICK) -> tuple[Told, Script]:
    told: Told = {}
    script = Script(steps)
    with served(script) as url:
        EndpointWriter(url, "m", patience).rewrite(requests(count), lambda key, *rest: told.update({key: rest}))
    return told, script


def failing(steps: Callable[[int, int], Step], count: int = 1, patience: Patience = QUICK) -> tuple[str, Told, Script]:
    told: Told = {}
    script = Script(steps)
    with served(script) as url, pytest.raises(EndpointError) as caught:
        EndpointWriter(url, "m", patience).rewrite(requests(count), lambda key, *rest: told.update({key: rest}))
    assert url in str(caught.value)
    return str(caught.value), told, script


def test_answers_are_handed_on_each_once_and_the_request_says_what_it_should() -> None:
    told, script = rewritten(lambda number, time: chat(WRONG), count=20)
    assert told == {f"k{i}": (WRONG, "") for i in range(20)}
    assert len(script.heard) == 20
    path, headers, body = script.heard[0]
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == "Bearer the-key"
    assert body["model"] == "m"
    assert ANSWER in body["messages"][0]["content"]


def test_answers_are_handed_on_while_others_are_under_way() -> None:
    """The second request is answered only after the first result was handed on."""
    first_handed_on = threading.Event()

    def steps(number: int, time: int) -> Step:
        assert number == 0 or first_handed_on.wait(10)
        return chat(WRONG)

    script = Script(steps)
    with served(script) as url:
        writer = EndpointWriter(url, "m", QUICK)
        seen: list[str] = []

        def done(key: str, text: str | None, why_not: str) -> None:
            seen.append(key)
            first_handed_on.set()

        writer.rewrite(requests(2), done)
    assert seen == ["k0", "k1"]


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_busy_server_is_asked_again(status: int) -> None:
    told, script = rewritten(lambda number, time: fails(status) if time <= 2 else chat(WRONG))
    assert told == {"k0": (WRONG, "")}
    assert script.asked == {0: 3}


def test_a_slow_server_is_asked_again() -> None:
    never = threading.Event()
    told, script = rewritten(
        lambda number, time: never if time == 1 else chat(WRONG), patience=Patience(timeout=0.3, pause=0, workers=1)
    )
    never.set()
    assert told == {"k0": (WRONG, "")}
    assert script.asked == {0: 2}


def test_after_the_last_try_what_is_done_is_kept_and_the_message_tells_it() -> None:
    message, told, script = failing(
        lambda number, time: fails(500) if number == 3 else chat(WRONG),
        count=6,
        patience=Patience(timeout=5, pause=0, tries=4, workers=1),
    )
    assert told == {f"k{i}": (WRONG, "") for i in range(3)}
    assert script.asked[3] == 4
    for part in ("500", "try 4 of 4", "3 of 6 answers", "the same command goes on"):
        assert part in message


def test_a_pause_that_the_server_asks_for_counts_even_beyond_the_deadline() -> None:
    message, _, script = failing(lambda number, time: fails(429, Retry_After="900"))
    assert script.asked == {0: 1}
    assert "pause of 900 s" in message


def test_a_short_pause_that_the_server_asks_for_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(threading.Event, "wait", _noting(threading.Event.wait, waits))
    rewritten(lambda number, time: fails(429, Retry_After="0.25") if time == 1 else chat(WRONG))
    assert 0.25 in waits


def _noting(wait: Callable[..., bool], into: list[float]) -> Callable[..., bool]:
    def noted(self: threading.Event, timeout: float | None = None) -> bool:
        into.append(timeout or 0)
        return wait(self, 0 if timeout == 0.25 else timeout)

    return noted


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (chat(""), "empty"),
        (chat(None), "empty"),
        (chat(ANSWER), "true answer"),
        (chat('{"answer": "A blue chair"}'), "JSON"),
        (chat("<html><body>hello</body></html>"), "markup"),
        (chat("I'm sorry, but I can't help with that."), "refusal"),
        (chat(WRONG * 4), "3 times as long"),
        (chat("Something else is standing there now, entirely."), "too few words"),
        ((200, {"Content-Type": "text/html"}, "<html>a page</html>"), "no chat completion"),
        ((200, {"Content-Type": "application/json"}, "{broken"), "no chat completion"),
        ((200, {"Content-Type": "application/json"}, '{"choices": []}'), "no chat completion"),
        ((200, {"Content-Type": "application/json"}, "[1, 2]"), "no chat completion"),
    ],
)
def test_nonsense_is_counted_after_a_second_try(reply: Step, why: str) -> None:
    told, script = rewritten(lambda number, time: reply if number == 0 else chat(WRONG), count=2)
    text, reason = told["k0"]
    assert text is None
    assert why in reason
    assert script.asked == {0: 2, 1: 1}
    assert told["k1"] == (WRONG, "")


def test_nonsense_once_is_nothing() -> None:
    told, _ = rewritten(lambda number, time: chat("") if time == 1 else chat(WRONG))
    assert told == {"k0": (WRONG, "")}


def test_an_endpoint_that_says_nonsense_only_is_not_paid_to_the_end() -> None:
    message, told, script = failing(
        lambda number, time: chat(""), count=40, patience=Patience(pause=0, workers=1, useless=3)
    )
    assert told == {}, "what only such a server said is asked again"
    assert len(script.heard) < 80
    assert "replies are of no use" in message


def test_a_few_useless_replies_are_told_even_if_nothing_else_comes() -> None:
    told, _ = rewritten(lambda number, time: chat(""), count=3)
    assert set(told) == {"k0", "k1", "k2"}


def test_a_request_that_the_endpoint_refuses_costs_only_itself() -> None:
    told, script = rewritten(lambda number, time: fails(400) if number == 0 else chat(WRONG), count=2)
    assert told["k0"][0] is None
    assert "said 400" in told["k0"][1]
    assert told["k1"] == (WRONG, "")
    assert script.asked[0] == 1


@pytest.mark.parametrize(
    ("step", "cure"),
    [
        (fails(401), "OPENAI_API_KEY"),
        (fails(403), "OPENAI_API_KEY"),
        (fails(404), "/v1/models"),
        (fails(429, "insufficient_quota"), "quota"),
    ],
)
def test_what_no_patience_cures_ends_at_once(step: Step, cure: str) -> None:
    message, told, script = failing(lambda number, time: step, count=20)
    assert told == {}
    assert len(script.heard) <= QUICK.workers
    assert cure in message


def test_nothing_at_the_url_ends_at_once() -> None:
    with served(Script(lambda number, time: chat(WRONG))) as url:
        pass
    with pytest.raises(EndpointError, match="nothing answers there") as caught:
        EndpointWriter(url, "m", QUICK).rewrite(requests(5), lambda *_: None)
    assert url in str(caught.value)
    assert "0 of 5" in str(caught.value)


@pytest.mark.parametrize("status", [400, 401])
def test_a_key_that_a_server_repeats_is_not_told_on(status: int) -> None:
    body, told = json.dumps({"error": {"message": "bad key the-key"}}), list[str]()
    with served(Script(lambda number, time: (status, {"Content-Type": "application/json"}, body))) as url:
        try:
            EndpointWriter(url, "m", QUICK).rewrite(requests(1), lambda key, text, why: told.append(why))
        except EndpointError as fault:
            told.append(str(fault))
    assert "[OPENAI_API_KEY]" in told[0]
    assert "the-key" not in told[0]


def test_a_url_without_a_scheme_is_refused_beforehand() -> None:
    with pytest.raises(ConfigError, match=r"--pairs\.url 'localhost:8000' is no URL"):
        EndpointWriter("localhost:8000", "m")


def test_without_the_package_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "openai":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r'pip install "spa3d\[endpoint\]"'):
        EndpointWriter("http://localhost:1/v1", "m")


def test_a_fault_of_our_own_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("spa3d.preferences.writers.endpoint.accepted", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        rewritten(lambda number, time: chat(WRONG))
