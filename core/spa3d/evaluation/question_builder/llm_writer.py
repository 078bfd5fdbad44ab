"""Writer of questions by an LLM, from captions or as wrong options for known questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spa3d.evaluation.question_builder.clients import LoggedClient, hash_prompt
from spa3d.evaluation.question_builder.contract import Draft, DraftRequest
from spa3d.evaluation.question_builder.prompts import NOTHING, ask_for_question, parse_draft


class LLMWriter:
    """Writer by an LLM; a reply that is no question is refused with a reason.

    Args:
        client: the LLM.

    """

    is_paid = True

    def __init__(self, client: LoggedClient) -> None:
        self.name = client.name
        self._client = client

    def write(self, requests: Sequence[DraftRequest]) -> Mapping[str, Draft | str]:
        """Write the drafts.

        Raises:
            SpaError: the LLM fails; received replies are kept.

        """
        by_key = {request.key: request for request in requests}
        prompts = {key: ask_for_question(request) for key, request in by_key.items()}

        def find_fault(key: str, reply: str) -> str:
            draft = parse_draft(by_key[key], reply, {})
            return draft if isinstance(draft, str) and draft != NOTHING else ""

        replies = self._client.ask(prompts, find_fault)
        return {
            key: reply.why_not or parse_draft(by_key[key], reply.text, {"prompt": hash_prompt(prompts[key])})
            for key, reply in replies.items()
        }
