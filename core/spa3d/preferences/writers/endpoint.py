"""Wrong answers by an OpenAI-compatible endpoint: several requests at once, patient with a busy server.

A busy or slow server is asked again, later and later. What no patience cures (nothing answers at the URL, a refused
key, an unknown model) ends the work at once. Either way every answer that has come is handed on first.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any

from spa3d.errors import ConfigError, SpaError
from spa3d.preferences.writers.contract import Corruption, Done
from spa3d.preferences.writers.prompts import accepted, prompt_for
from spa3d.runtime.rng import generator

KEY = "OPENAI_API_KEY"
STRANGE = "what the URL answers is no chat completion"


class EndpointError(SpaError):
    """An endpoint that does not answer, or not to us; what it has answered is kept."""


@dataclass(frozen=True)
class Patience:
    """How long an endpoint is waited for.

    Attributes:
        timeout: seconds without a sign of the server after which a try has failed.
        deadline: seconds per reply, all tries and pauses together; no further try begins after it.
        tries: tries per reply where the server is busy, slow or broken.
        pause: seconds before the second try; each further pause is twice as long, all of them times 0.5 to 1.5.
        workers: requests under way at once.
        useless: so many first replies, none of which is of use, end the work and do not count: the next ones would cost
            as much for as little.

    """

    timeout: float = 60.0
    deadline: float = 300.0
    tries: int = 6
    pause: float = 1.0
    workers: int = 8
    useless: int = 32


@dataclass(frozen=True)
class _Outcome:
    """What came of one request: an answer, a reason why there is none, or a fault that ends the work."""

    request: Corruption
    text: str | None = None
    why_not: str = ""
    fault: EndpointError | None = None


class EndpointWriter:
    """Asks a model behind a URL; the key, if the endpoint wants one, is read from ``OPENAI_API_KEY``.

    Args:
        url: base URL, such as ``http://localhost:8000/v1``.
        model: the endpoint's name of the model.
        patience: how long to wait and how often to try.

    Raises:
        ConfigError: the openai package is missing, or `url` is none.

    """

    def __init__(self, url: str, model: str, patience: Patience | None = None) -> None:
        try:
            import openai
        except ImportError as fault:
            raise ConfigError(
                '--pairs.writer endpoint needs the openai package: pip install "spa3d[endpoint]"'
            ) from fault
        if not url.startswith(("http://", "https://")):
            raise ConfigError(f"--pairs.url {url!r} is no URL; give one such as http://localhost:8000/v1")
        self.name = f"endpoint:{model}"
        self._url, self._model, self._patience = url, model, patience or Patience()
        self._openai: Any = openai
        self._client: Any = openai.OpenAI(
            base_url=url, api_key=os.environ.get(KEY) or "none", max_retries=0, timeout=self._patience.timeout
        )

    def rewrite(self, requests: Sequence[Corruption], done: Done) -> None:
        """Answer every request, `done` being called in this thread; None where its two replies are of no use.

        Raises:
            EndpointError: the endpoint cannot be used, or failed too often; what has come is handed on before.

        """
        fault: EndpointError | None = None
        told, doubted, stop = 0, list[_Outcome](), Event()
        try:
            for outcome in self._outcomes(requests, stop):
                if outcome.fault:
                    fault = fault or outcome.fault
                    continue
                # Until something useful comes the fault may be the server's; then these are worth asking again.
                doubted.append(outcome)
                if outcome.text is None and not told:
                    if len(doubted) >= self._patience.useless and not fault:
                        fault = EndpointError(
                            f"{self._where}: its first {len(doubted)} replies are of no use ({outcome.why_not})"
                        )
                        stop.set()
                    continue
                told += _hand_on(doubted, done)
        finally:
            stop.set()  # whoever is told of an answer may raise
        if fault is None:
            _hand_on(doubted, done)
            return
        kept = f"{told} of {len(requests)} answers have come and are kept"
        raise EndpointError(f"{fault}. {kept}; the same command goes on with the rest.") from fault

    @property
    def _where(self) -> str:
        return f"--pairs.url {self._url}, model {self._model!r}"

    def _outcomes(self, requests: Sequence[Corruption], stop: Event) -> Iterator[_Outcome]:
        """What comes of the requests, as it comes; after `stop`, or a fault, only of those under way."""
        waiting, ready = SimpleQueue[Any](), SimpleQueue[Any]()
        for request in requests:
            waiting.put(request)

        def work() -> None:
            try:
                while not stop.is_set():
                    outcome = self._outcome(waiting.get_nowait(), stop)
                    if outcome.fault:
                        stop.set()
                    ready.put(outcome)
            except Empty:
                pass
            except BaseException as bug:
                ready.put(bug)
            finally:
                ready.put(None)

        # Daemons: Ctrl-C must not wait for replies that are under way.
        team = [Thread(target=work, daemon=True) for _ in range(min(self._patience.workers, len(requests)))]
        for member in team:
            member.start()
        at_work = len(team)
        while at_work:
            found = ready.get()
            if isinstance(found, BaseException):
                raise found
            if found is None:
                at_work -= 1
            else:
                yield found

    def _outcome(self, request: Corruption, stop: Event) -> _Outcome:
        """Ask until there is a reply; ask once more where it is of no use."""
        why_not = ""
        for _ in range(2):
            try:
                reply = self._reply(request, stop)
            except EndpointError as fault:
                return _Outcome(request, fault=fault)
            except _Refused as refusal:
                return _Outcome(request, why_not=str(refusal))
            text, why_not = (None, STRANGE) if reply is None else accepted(request, reply)
            if text is not None:
                return _Outcome(request, text)
        return _Outcome(request, why_not=f"{why_not}, twice")

    def _reply(self, request: Corruption, stop: Event) -> str | None:
        """The text of one reply, None if it is no chat completion; a busy, slow or broken server is asked again."""
        patience, end = self._patience, time.monotonic() + self._patience.deadline
        for number in range(1, patience.tries + 1):
            try:
                return _text_of(
                    self._client.chat.completions.create(
                        model=self._model, messages=[{"role": "user", "content": prompt_for(request)}]
                    )
                )
            except ValueError:
                return None  # a body that is no JSON
            except self._openai.APIError as fault:
                what = self._what_failed(fault)
                asked = _retry_after(fault)
            jitter = 0.5 + generator("back-off", request.key, number).random()
            wait = max(patience.pause * 2 ** (number - 1) * jitter, asked)
            if number == patience.tries or time.monotonic() + wait > end:
                longer = f" and asks for a pause of {asked:.0f} s" if asked else ""
                raise EndpointError(f"{self._where}: {what}{longer}; that was try {number} of {patience.tries}")
            if stop.wait(wait):
                break
        raise EndpointError(f"{self._where}: {what}")

    def _what_failed(self, fault: Any) -> str:
        """What to say of a fault that may pass; one that will not is raised as `EndpointError` or `_Refused`."""
        openai, said = self._openai, _first_line(fault)
        if isinstance(fault, openai.APITimeoutError):
            return f"no reply within {self._patience.timeout:g} s"
        if isinstance(fault, openai.APIConnectionError):
            cause = fault.__cause__
            if type(cause).__name__ in {"ConnectError", "UnsupportedProtocol", "InvalidURL"}:
                raise EndpointError(f"{self._where}: nothing answers there ({cause}); start the server or mend the URL")
            return f"the connection broke ({cause or said})"
        status = getattr(fault, "status_code", 0)
        if status in (401, 403):
            raise EndpointError(f"{self._where}: the key is refused ({said}); put a valid one into {KEY}")
        if status == 404:
            raise EndpointError(
                f"{self._where}: not known there ({said}); the URL mostly ends in /v1, and "
                f"{self._url.rstrip('/')}/models lists the models that --pairs.llm can name"
            )
        if getattr(fault, "code", None) == "insufficient_quota":
            raise EndpointError(f"{self._where}: the account has no quota left ({said})")
        if status in (408, 409, 429) or status >= 500:
            return f"the server answers {status} ({said})"
        raise _Refused(f"the endpoint refuses the request ({said})")


class _Refused(Exception):  # noqa: N818 - a reply, not an error of ours
    """The endpoint does not want this one request."""


def _hand_on(outcomes: list[_Outcome], done: Done) -> int:
    """Tell of `outcomes` and forget them; returns their number."""
    number = len(outcomes)
    for outcome in outcomes:
        done(outcome.request.key, outcome.text, outcome.why_not)
    outcomes.clear()
    return number


def _text_of(reply: Any) -> str | None:
    """The text of a chat completion, which may be empty; None where the reply is something else, such as a web page."""
    choices = getattr(reply, "choices", None)
    message = getattr(choices[0], "message", None) if isinstance(choices, list) and choices else None
    if message is None:
        return None
    content = getattr(message, "content", None)
    return content if isinstance(content, str) else ""


def _retry_after(fault: Any) -> float:
    """Seconds that the server asks to wait (a number or a date), 0 where it says nothing."""
    response = getattr(fault, "response", None)
    value = response.headers.get("retry-after", "0") if response is not None else "0"
    try:
        return max(0.0, float(value))
    except ValueError:
        date = parsedate_tz(value)
        return max(0.0, mktime_tz(date) - time.time()) if date else 0.0


def _first_line(fault: Exception) -> str:
    """What a fault says, without the key: some servers repeat what they refuse, and the ledger keeps refusals."""
    key, line = os.environ.get(KEY), str(fault).strip().partition("\n")[0]
    return (line.replace(key, f"[{KEY}]") if key else line)[:200]
