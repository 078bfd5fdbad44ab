"""One record in one epoch, with its texts tokenized."""

from __future__ import annotations

from dataclasses import dataclass

from spa3d.contracts.objective import Text
from spa3d.inference.views import View
from spa3d.model.tokens import PromptPrefix, Tokens


@dataclass(frozen=True)
class Sample:
    """One record in one epoch, with its texts tokenized behind each required prompt prefix.

    ``twin_id`` is the record of its twin where the sample is a minimal pair, and empty otherwise.
    """

    record_id: str
    epoch: int
    texts: dict[tuple[Text, PromptPrefix], Tokens]
    has_cloud: bool = True
    twin_id: str = ""

    def tokens(self, text: Text, view: View) -> Tokens | None:
        """The text to be scored under `view`; None where this sample has no such text or view."""
        text_alone = view.prefix == "blind" or view.name == "clean"  # all that there is of a text-only conversation
        if (view.of_twin and not self.twin_id) or not (self.has_cloud or text_alone):
            return None
        return self.texts.get((text, view.prefix))

    def record_id_for(self, view: View) -> str:
        """Id of the record with the cloud of `view`."""
        return self.twin_id if view.of_twin else self.record_id
