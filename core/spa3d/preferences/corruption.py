"""Pairs by text corruption: the answer to avoid is a plausible wrong one that a writer made of the true answer.

Source: the two ways in which the paper of SPA makes pairs for DPO and SimPO, of which this is the second.
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
    """Let `writer` rewrite the true answers of `requests`; `on_responses` takes each as soon as it is there."""
    truths = {one.key: one.answer for one in requests}

    def on_result(key: str, text: str | None, why_not: str) -> None:
        truth, rewrite = truths[key], text or ""
        error = pair_error(truth, rewrite) if text else why_not or NO_ANSWER
        on_responses([Response(key, truth, rewrite, error)])
        advance(1)

    writer.rewrite([RewriteRequest(one.key, one.question, one.answer, one.record) for one in requests], on_result)
