"""Client of an OpenAI-compatible endpoint: parallel prompts, retries with growing pauses.

A request to a busy or slow server is repeated after a growing pause. Errors that a retry cannot fix (nothing answers at
the URL, a refused key, an unknown model) end the work at once. In both cases all received results are delivered first.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any, Generic, TypeVar

from spa3d.errors import ConfigError, SpaError, first_line
from spa3d.runtime.rng import keyed_generator

Value = TypeVar("Value")

Parse = Callable[[str, str], tuple[Value | None, str]]
"""(key of the prompt, reply) → what the reply says, or None and why it is of no use."""
OnResult = Callable[[str, Value | None, str], None]
"""Called with (key of the prompt, what its reply says or None, why there is nothing), in any order."""

KEY = "OPENAI_API_KEY"
STRANGE = "what the URL answers is no chat completion"


class EndpointError(SpaError):
    """An endpoint gives no replies, or refuses ours; received results are kept."""


@dataclass(frozen=True)
class Endpoint:
    """An LLM behind a URL, and the settings that name it, for error messages.

    Attributes:
        url: base URL, such as ``http://localhost:8000/v1``.
        model: the endpoint's name of the model.
        url_setting: the setting that `url` comes from, such as ``--pairs.url``.
        model_setting: the setting that `model` comes from.
        needed_by: the setting that chose an endpoint, such as ``--pairs.writer endpoint``.

    """

    url: str
    model: str
    url_setting: str
    model_setting: str
    needed_by: str

    def __str__(self) -> str:
        return f"{self.url_setting} {self.url}, model {self.model!r}"


@dataclass(frozen=True)
class Patience:
    """Timeouts and retries of requests to an endpoint.

    Attributes:
        timeout: seconds without data from the server after which a try fails.
        deadline: seconds per reply, including all tries and pauses; no try begins after it.
        tries: tries per reply if the server is busy, slow or broken.
        pause: seconds before the second try; each further pause is twice as long, all of them times 0.5 to 1.5.
        workers: parallel requests.
        useless: if the first so many replies are all unusable, the work ends and they are not delivered: further
            replies would only cost money.

    """

    timeout: float = 60.0
    deadline: float = 300.0
    tries: int = 6
    pause: float = 1.0
    workers: int = 8
    useless: int = 32


class EndpointClient:
    """Client of a model at a URL; the API key is read from ``OPENAI_API_KEY``.

    Args:
        endpoint: URL and name of the model.
        patience: timeouts and number of tries.

    Raises:
        ConfigError: the openai package is missing, or the URL is invalid.

    """

    def __init__(self, endpoint: Endpoint, patience: Patience | None = None) -> None:
        try:
            import openai
        except ImportError as error:
            raise ConfigError(
                f'{endpoint.needed_by} needs the openai package: pip install "spa3d[endpoint]"'
            ) from error
        if not endpoint.url.startswith(("http://", "https://")):
            raise ConfigError(
                f"{endpoint.url_setting} {endpoint.url!r} is no URL; give one such as http://localhost:8000/v1"
            )
        self._endpoint, self._patience = endpoint, patience or Patience()
        self._openai: Any = openai
        self._client: Any = openai.OpenAI(
            base_url=endpoint.url, api_key=os.environ.get(KEY) or "none", max_retries=0, timeout=self._patience.timeout
        )

    def ask(self, prompts: Mapping[str, str], parse: Parse[Value], on_result: OnResult[Value]) -> None:
        """Send every prompt; the result is None after two unusable replies.

        Args:
            prompts: by key.
            parse: parses a reply; called in several threads.
            on_result: called in this thread with the result of each prompt, once and as soon as possible.

        Raises:
            EndpointError: the endpoint is unusable or failed too often; received results are delivered first.

        """
        error: EndpointError | None = None
        delivered, pending, stop = 0, list[_Result[Value]](), Event()
        try:
            for result in self._results(prompts, parse, stop):
                if result.error:
                    error = error or result.error
                    continue
                # Before the first usable reply the server itself may be at fault, so bad ones are not delivered yet.
                pending.append(result)
                if result.value is None and not delivered:
                    if len(pending) >= self._patience.useless and not error:
                        error = EndpointError(
                            f"{self._endpoint}: its first {len(pending)} replies are of no use ({result.why_not})"
                        )
                        stop.set()
                    continue
                delivered += _deliver(pending, on_result)
        finally:
            stop.set()  # `on_result` may raise
        if error is None:
            _deliver(pending, on_result)
            return
        count = f"{delivered} of {len(prompts)} answers have come and are kept"
        raise EndpointError(f"{error}. {count}; the same command goes on with the rest.") from error

    def _results(self, prompts: Mapping[str, str], parse: Parse[Value], stop: Event) -> Iterator[_Result[Value]]:
        """Yield results as they arrive; after `stop` or an error, only those of running requests."""
        waiting, ready = SimpleQueue[Any](), SimpleQueue[Any]()
        for prompt in prompts.items():
            waiting.put(prompt)

        def work() -> None:
            try:
                while not stop.is_set():
                    key, prompt = waiting.get_nowait()
                    result = self._result(key, prompt, parse, stop)
                    if result.error:
                        stop.set()
                    ready.put(result)
            except Empty:
                pass
            except BaseException as bug:
                ready.put(bug)
            finally:
                ready.put(None)

        # Daemon threads: Ctrl-C must not wait for running requests.
        threads = [Thread(target=work, daemon=True) for _ in range(min(self._patience.workers, len(prompts)))]
        for thread in threads:
            thread.start()
        at_work = len(threads)
        while at_work:
            item = ready.get()
            if isinstance(item, BaseException):
                raise item
            if item is None:
                at_work -= 1
            else:
                yield item

    def _result(self, key: str, prompt: str, parse: Parse[Value], stop: Event) -> _Result[Value]:
        """Request a reply; request it once more if it is unusable."""
        why_not = ""
        for _ in range(2):
            try:
                reply = self._reply(key, prompt, stop)
            except EndpointError as error:
                return _Result(key, error=error)
            except _Refusal as refusal:
                return _Result(key, why_not=str(refusal))
            value, why_not = (None, STRANGE) if reply is None else parse(key, reply)
            if value is not None:
                return _Result(key, value)
        return _Result(key, why_not=f"{why_not}, twice")

    def _reply(self, key: str, prompt: str, stop: Event) -> str | None:
        """Request one text; None if it is no chat completion; retries a busy, slow or broken server."""
        patience, end = self._patience, time.monotonic() + self._patience.deadline
        for number in range(1, patience.tries + 1):
            try:
                return _read_text(
                    self._client.chat.completions.create(
                        model=self._endpoint.model, messages=[{"role": "user", "content": prompt}]
                    )
                )
            except ValueError:
                return None  # the body is not JSON
            except self._openai.APIError as error:
                failure = self._describe_failure(error)
                pause = _read_retry_after(error)
            jitter = 0.5 + keyed_generator("back-off", key, number).random()
            wait = max(patience.pause * 2 ** (number - 1) * jitter, pause)
            if number == patience.tries or time.monotonic() + wait > end:
                longer = f" and asks for a pause of {pause:.0f} s" if pause else ""
                raise EndpointError(f"{self._endpoint}: {failure}{longer}; that was try {number} of {patience.tries}")
            if stop.wait(wait):
                break
        raise EndpointError(f"{self._endpoint}: {failure}")

    def _describe_failure(self, error: Any) -> str:
        """Describe a temporary error; others are raised as `EndpointError` or `_Refusal`."""
        openai, endpoint, message = self._openai, self._endpoint, _redact_first_line(error)
        if isinstance(error, openai.APITimeoutError):
            return f"no reply within {self._patience.timeout:g} s"
        if isinstance(error, openai.APIConnectionError):
            cause = error.__cause__
            if type(cause).__name__ in {"ConnectError", "UnsupportedProtocol", "InvalidURL"}:
                raise EndpointError(f"{endpoint}: nothing answers there ({cause}); start the server or mend the URL")
            return f"the connection broke ({cause or message})"
        status = getattr(error, "status_code", 0)
        if status in (401, 403):
            raise EndpointError(f"{endpoint}: the key is refused ({message}); put a valid one into {KEY}")
        if status == 404:
            raise EndpointError(
                f"{endpoint}: not known there ({message}); the URL mostly ends in /v1, and "
                f"{endpoint.url.rstrip('/')}/models lists the models that {endpoint.model_setting} can name"
            )
        if getattr(error, "code", None) == "insufficient_quota":
            raise EndpointError(f"{endpoint}: the account has no quota left ({message})")
        if status in (408, 409, 429) or status >= 500:
            return f"the server answers {status} ({message})"
        raise _Refusal(f"the endpoint refuses the request ({message})")


@dataclass(frozen=True)
class _Result(Generic[Value]):
    """Result of one prompt: a value, a reason for none, or an error that ends the work."""

    key: str
    value: Value | None = None
    why_not: str = ""
    error: EndpointError | None = None


class _Refusal(Exception):  # noqa: N818 - a reply, not an error of ours
    """The endpoint refuses one prompt."""


def _deliver(results: list[_Result[Value]], on_result: OnResult[Value]) -> int:
    """Pass `results` to `on_result` and clear the list; returns their number."""
    number = len(results)
    for result in results:
        on_result(result.key, result.value, result.why_not)
    results.clear()
    return number


def _read_text(reply: Any) -> str | None:
    """Read the text of a chat completion; None for anything else, such as a web page."""
    choices = getattr(reply, "choices", None)
    message = getattr(choices[0], "message", None) if isinstance(choices, list) and choices else None
    if message is None:
        return None
    content = getattr(message, "content", None)
    return content if isinstance(content, str) else ""


def _read_retry_after(error: Any) -> float:
    """Read the seconds that the server asks to wait, from a number or a date; 0 if it does not."""
    response = getattr(error, "response", None)
    value = response.headers.get("retry-after", "0") if response is not None else "0"
    try:
        return max(0.0, float(value))
    except ValueError:
        date = parsedate_tz(value)
        return max(0.0, mktime_tz(date) - time.time()) if date else 0.0


def _redact_first_line(error: Exception) -> str:
    """First line of an error, with the key removed: some servers repeat the refused key."""
    key, line = os.environ.get(KEY), first_line(error)
    return (line.replace(key, f"[{KEY}]") if key else line)[:200]
