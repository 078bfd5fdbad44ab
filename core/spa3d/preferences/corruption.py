"""Pairs by text corruption: the rejected answer is the true one, rewritten to be wrong.

Source: the second of the two methods in the SPA paper that make pairs for DPO and SimPO.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from spa3d.data.preference_pairs import pair_error
from spa3d.preferences.requests import Request, Response
from spa3d.preferences.writers.contract import RewriteRequest, Writer
from spa3d.runtime.progress import Advance

NO_ANSWER = "the writer gave no answer"


def generate_corrupted(
    writer: Writer, requests: Sequence[Request], on_responses: Callable[[Sequence[Response]], None], advance: Advance
) -> None:
    """Let `writer` rewrite the true answers of `requests`; `on_responses` gets each at once."""
    truths = {request.key: request.answer for request in requests}

    def on_result(key: str, text: str | None, why_not: str) -> None:
        truth, rewrite = truths[key], text or ""
        error = pair_error(truth, rewrite) if text else why_not or NO_ANSWER
        on_responses([Response(key, truth, rewrite, error)])
        advance(1)

    writer.rewrite(
        [RewriteRequest(request.key, request.question, request.answer, request.record) for request in requests],
        on_result,
    )
