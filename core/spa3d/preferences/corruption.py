"""Pairs by text corruption: the true answer is preferred, a plausible wrong one that a writer made of it avoided.

Source: the two ways in which the paper of SPA makes pairs for DPO and SimPO, of which this is the second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from spa3d.data.preference_pairs import fault_of
from spa3d.llm_clients.response_log import Outcome
from spa3d.preferences.requests import Request
from spa3d.preferences.writers.contract import Corruption, Writer
from spa3d.runtime.progress import Advance

UNSAID = "the writer gave no answer"


def corrupted(
    writer: Writer, requests: Sequence[Request], note: Callable[[Sequence[Outcome]], None], advance: Advance
) -> None:
    """Let `writer` rewrite the true answers of `requests`; `note` takes each outcome as soon as it is there."""
    truths = {one.key: one.answer for one in requests}

    def done(key: str, text: str | None, why_not: str) -> None:
        truth, written = truths[key], text or ""
        note([Outcome(key, truth, written, fault_of(truth, written) if text else why_not or UNSAID)])
        advance(1)

    writer.rewrite([Corruption(one.key, one.question, one.answer, one.record) for one in requests], done)
