"""One record in one epoch, with its texts tokenized."""

from __future__ import annotations

from dataclasses import dataclass

from spa3d.contracts.objective import Need, Text
from spa3d.model.tokens import PromptPrefix, Tokens, prompt_prefix_of


@dataclass(frozen=True)
class Sample:
    """One record in one epoch, with its texts tokenised for each opening of the prompt that is needed.

    ``twin_id`` is the record of its twin where the sample is a minimal pair, and empty otherwise.
    """

    record_id: str
    epoch: int
    texts: dict[tuple[Text, PromptPrefix], Tokens]
    has_cloud: bool = True
    twin_id: str = ""

    def tokens(self, need: Need) -> Tokens | None:
        """The text to be scored for `need`; None where this sample has no such text or view."""
        if need.view == "twin" and not self.twin_id:
            return None
        return self.texts.get((need.text, prompt_prefix_of(need.view)))
