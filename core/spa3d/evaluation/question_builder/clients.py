"""LLMs that write and check questions, with a log, so that nothing is paid twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from spa3d.artifacts.hashing import digest
from spa3d.llm_clients.endpoint import OnResult, Parse
from spa3d.llm_clients.local import generate_replies
from spa3d.llm_clients.response_log import KeyedResponse, ResponseLog
from spa3d.model.llm import find_reply_stops, load_causal_lm
from spa3d.runtime.progress import Reporter

ROOM = 192
"""Most tokens of a local LLM's reply."""


def hash_prompt(prompt: str) -> str:
    """Hash of a prompt, for provenance and for the log of replies."""
    return digest(prompt)


class Client(Protocol):
    """LLM that answers prompts: `EndpointClient`, or `LocalClient`."""

    def ask(self, prompts: Mapping[str, str], parse: Parse[str], on_result: OnResult[str]) -> None:
        """Call `on_result` once per prompt, in any order."""
        ...


class LocalClient:
    """Causal LM on this machine; it is loaded on first use.

    Args:
        path: folder or hub name of the LM.
        setting: the flag that the path comes from, for error messages.
        device: device of the LM.
        batch_size: replies generated at once.

    """

    def __init__(self, path: str, *, setting: str, device: torch.device | str, batch_size: int) -> None:
        self._path, self._setting, self._device, self._batch_size = path, setting, device, batch_size
        self._loaded: tuple[Any, Any] | None = None

    def ask(self, prompts: Mapping[str, str], parse: Parse[str], on_result: OnResult[str]) -> None:
        """Answer every prompt, greedily.

        Raises:
            CheckpointError: no LM can be loaded from the path.

        """
        if not prompts:
            return
        model, tokenizer = self._load()
        keys = list(prompts)
        rooms = [ROOM] * len(keys)
        for reply in generate_replies(model, tokenizer, [*prompts.values()], rooms, batch_size=self._batch_size):
            key = keys[reply.index]
            if reply.text is None:
                on_result(key, None, reply.why_not)
            else:
                on_result(key, *parse(key, reply.text))

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            model, tokenizer = load_causal_lm(self._path, flag=self._setting, alternative="its name on the hub")
            model = model.to(self._device).eval()
            model.generation_config.eos_token_id = find_reply_stops(model, tokenizer) or None
            self._loaded = model, tokenizer
        return self._loaded


@dataclass(frozen=True)
class LoggedReply(KeyedResponse):
    """Reply to a prompt, by the hash of the prompt; in `why_not` the reason for none."""

    text: str = ""
    why_not: str = ""


class LoggedClient:
    """An LLM with the log of its replies.

    Args:
        client: the LLM.
        name: for the provenance.
        path: the log, of this LLM alone.
        reporter: where progress goes.

    """

    def __init__(self, client: Client, name: str, path: Path, reporter: Reporter) -> None:
        self.name = name
        self._client, self._reporter = client, reporter
        self._log = ResponseLog(path, LoggedReply)

    def ask(self, prompts: Mapping[str, str], find_fault: Callable[[str, str], str]) -> dict[str, LoggedReply]:
        """Ask for the replies that are not in the log.

        Args:
            prompts: by key.
            find_fault: (key, reply) → why a reply is of no use; empty if it is of use.

        Returns:
            The replies by key, each of use or with a reason.

        Raises:
            SpaError: the LLM fails; received replies are logged.

        """
        hashes = {key: hash_prompt(prompt) for key, prompt in prompts.items()}
        if not hashes.keys() or all(each in self._log.responses for each in hashes.values()):
            return {key: self._log.responses[each] for key, each in hashes.items()}
        with self._log.lock(lambda: self._reporter.say(f"{self._log.path}: another process has it; waiting")):
            missing = {hashes[key]: key for key in prompts if hashes[key] not in self._log.responses}
            with self._reporter.track(len(missing), self.name) as advance:

                def keep(prompt_hash: str, text: str | None, why_not: str) -> None:
                    self._log.add([LoggedReply(prompt_hash, text or "", why_not)])
                    advance(1)

                def parse(prompt_hash: str, reply: str) -> tuple[str | None, str]:
                    reason = find_fault(missing[prompt_hash], reply)
                    return (None, reason) if reason else (reply, "")

                self._client.ask({each: prompts[key] for each, key in missing.items()}, parse, keep)
        return {key: self._log.responses[each] for key, each in hashes.items()}
