"""Prompts sent to an endpoint, and its usable replies.

Retries are tested in llm_clients/test_endpoint.py.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from spa3d.contracts.dataset import Record
from spa3d.errors import ConfigError
from spa3d.llm_clients.endpoint import EndpointError, Patience
from spa3d.preferences.writers.contract import RewriteRequest
from spa3d.preferences.writers.endpoint import EndpointWriter
from spa3d.preferences.writers.prompts import prompt_for

ANSWER = "A red chair with four legs."
WRONG = "A blue chair with four legs."
QUICK = Patience(timeout=5, pause=0, tries=4, workers=2)

Results = dict[str, tuple[str | None, str]]


def requests(count: int) -> list[RewriteRequest]:
    def no_cloud() -> np.ndarray:
        raise AssertionError("an endpoint gets no cloud")

    record = Record(id="r", object_id="r", group="r", load=no_cloud, conversations=())
    return [RewriteRequest(f"k{i}", f"number {i}?", ANSWER, record) for i in range(count)]


def rewrite(server: Any, count: int) -> Results:
    results: Results = {}
    with server.serve() as url:
        EndpointWriter(url, "m", QUICK).rewrite(requests(count), lambda key, *rest: results.update({key: rest}))
    return results


def test_wrong_answers_come_by_key_and_the_prompt_holds_question_and_answer(chat_server: Any) -> None:
    server = chat_server(lambda number, time: chat_server.chat(WRONG))
    assert rewrite(server, 3) == {f"k{i}": (WRONG, "") for i in range(3)}
    sent = {body["messages"][0]["content"] for _, _, body in server.heard}
    assert sent == {prompt_for(request) for request in requests(3)}
    assert {body["model"] for _, _, body in server.heard} == {"m"}


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("", "empty"),
        (None, "empty"),
        (ANSWER, "true answer"),
        ('{"answer": "A blue chair"}', "JSON"),
        ("<html><body>hello</body></html>", "markup"),
        ("I'm sorry, but I can't help with that.", "refusal"),
        (WRONG * 4, "3 times as long"),
        ("Something else is standing there now, entirely.", "too few words"),
    ],
)
def test_nonsense_is_counted_after_a_second_try(chat_server: Any, reply: str | None, why: str) -> None:
    server = chat_server(lambda number, time: chat_server.chat(reply if number == 0 else WRONG))
    results = rewrite(server, 2)
    text, reason = results["k0"]
    assert text is None
    assert why in reason
    assert server.requested == {0: 2, 1: 1}
    assert results["k1"] == (WRONG, "")


@pytest.mark.parametrize(("status", "setting"), [(401, "--pairs.url"), (404, "that --pairs.llm can name")])
def test_errors_name_the_settings_of_pairs(chat_server: Any, status: int, setting: str) -> None:
    with pytest.raises(EndpointError) as caught:
        rewrite(chat_server(lambda number, time: chat_server.fails(status)), 1)
    assert setting in str(caught.value)


def test_a_url_without_a_scheme_is_refused_beforehand() -> None:
    with pytest.raises(ConfigError, match=r"--pairs\.url 'localhost:8000' is no URL"):
        EndpointWriter("localhost:8000", "m")


def test_without_the_package_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(ConfigError, match=r'--pairs\.writer endpoint needs .* pip install "spa3d\[endpoint\]"'):
        EndpointWriter("http://localhost:1/v1", "m")
