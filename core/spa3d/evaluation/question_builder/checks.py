"""Checks, by rule or by an LLM, whether the caption tells the answer of a question."""

from __future__ import annotations

from collections.abc import Mapping

from spa3d.data.questions import LETTERS
from spa3d.evaluation.question_builder.caption_rules import states
from spa3d.evaluation.question_builder.clients import LoggedClient, hash_prompt
from spa3d.evaluation.question_builder.contract import CATEGORIES, CheckResult, Draft, DraftRequest
from spa3d.evaluation.question_builder.prompts import ask_for_answer, parse_pick
from spa3d.runtime.rng import keyed_generator

Drafts = Mapping[str, tuple[DraftRequest, Draft]]
NO_CAPTION = "no caption"
"""Result of a check of a question that people wrote about a record without a caption; it is kept."""


class RuleChecker:
    """Checker by rule: the caption states the answer and no other option."""

    name = "rule"

    def check(self, drafts: Drafts) -> Mapping[str, CheckResult]:
        """Check every draft."""
        return {key: self._check(*draft) for key, draft in drafts.items()}

    def _check(self, request: DraftRequest, draft: Draft) -> CheckResult:
        if not request.caption:
            return CheckResult("", {"checker": self.name, "result": NO_CAPTION})
        stated = [option for option in draft.options if states(request.caption, option, draft.evidence.get(option, ()))]
        if draft.answer not in stated:
            return CheckResult("the caption does not state the answer", {})
        if len(stated) > 1:
            return CheckResult("the caption states another option, too", {})
        return CheckResult("", {"checker": self.name, "result": "stated"})


class LLMChecker:
    """Checker by an LLM: it must pick the answer from the caption alone.

    Args:
        client: the LLM.
        seed: of the order of the options that it sees.
        blind: ask each question without the caption, too.

    """

    def __init__(self, client: LoggedClient, *, seed: int, blind: bool) -> None:
        self.name = client.name
        self._client, self._seed, self._blind = client, seed, blind

    def check(self, drafts: Drafts) -> Mapping[str, CheckResult]:
        """Check every draft.

        Raises:
            SpaError: the LLM fails; received replies are kept.

        """
        orders = {key: self._order(key, draft) for key, (_, draft) in drafts.items()}
        checked = {key for key, (request, _) in drafts.items() if request.caption}
        picks, hashes = self._ask(drafts, orders, checked, with_caption=True)
        guesses, _ = self._ask(drafts, orders, drafts.keys() if self._blind else (), with_caption=False)
        results = {}
        for key, (_, draft) in drafts.items():
            right = LETTERS[orders[key].index(draft.answer)]
            made = {"checker": self.name, "result": "picked" if key in checked else NO_CAPTION}
            made |= {"prompt": hashes[key]} if key in checked else {}
            why_not = "" if key not in checked or picks[key] == right else _explain(picks[key])
            results[key] = CheckResult(why_not, made, guesses[key] == right if self._blind else None)
        return results

    def _order(self, key: str, draft: Draft) -> list[str]:
        stream = keyed_generator("check", self._seed, key)
        return [draft.options[i] for i in stream.permutation(len(draft.options))]

    def _ask(
        self, drafts: Drafts, orders: Mapping[str, list[str]], keys: object, *, with_caption: bool
    ) -> tuple[dict[str, str | None], dict[str, str]]:
        """Letters that the LLM picks, and hashes of the prompts, by key."""
        prompts = {}
        for key in drafts:
            if key in keys:  # type: ignore[operator]
                request, draft = drafts[key]
                caption = request.caption if with_caption else ""
                prompts[key] = ask_for_answer(caption, draft, orders[key], CATEGORIES[request.category].level)
        replies = self._client.ask(prompts, lambda key, reply: "" if reply.strip() else "the reply is empty")
        picks = {key: parse_pick(reply.text, orders[key]) for key, reply in replies.items()}
        return picks, {key: hash_prompt(prompt) for key, prompt in prompts.items()}


def _explain(pick: str | None) -> str:
    return "the checker picks another option" if pick else "the checker finds no option in the caption"
