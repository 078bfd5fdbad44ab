"""Training examples: chosen, optionally rejected and counterfactual conversations."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from spa3d.contracts.dataset import Conversation, Dataset, Record, Round, Twin
from spa3d.contracts.objective import Need, Text
from spa3d.data.preference_pairs import Pair
from spa3d.data.questions import append_options, draw_pair_options
from spa3d.errors import DataError, error_context
from spa3d.inference.samples import Sample
from spa3d.inference.views import View
from spa3d.model.processing import Spa3dProcessor
from spa3d.model.tokens import PromptPrefix, Tokens
from spa3d.runtime.rng import keyed_generator
from spa3d.training.dataset import ConversationSampler

Item = TypeVar("Item")
RequiredText = tuple[Text, PromptPrefix]
"""A text, and the start of the prompt that holds it."""
WITH_OPTIONS = 0.5
"""Share of the questions about a changed fact that are asked with options, both answers among them."""


@dataclass(frozen=True)
class TrainingExample:
    """The conversations of one sample; `rejected` would be true of the record `twin_id`."""

    record_id: str
    epoch: int
    chosen: Conversation
    rejected: Conversation | None = None
    twin_id: str = ""


def required_texts(needs: Collection[Need], views: Mapping[str, View]) -> list[RequiredText]:
    """Texts that `needs` require, each with its prompt prefix, in a fixed order."""
    return sorted({(need.text, views[need.view].prefix) for need in needs})


def sft_example(sampler: ConversationSampler) -> Callable[[Record, int], TrainingExample]:
    """Make examples of the conversation alone."""
    return lambda record, epoch: TrainingExample(record.id, epoch, sampler(record, epoch))


def preference_example(pair: Pair, epoch: int) -> TrainingExample:
    """Make the example of a preference pair: one question with two answers."""
    chosen, rejected = (
        Conversation("pair", (Round(pair.question, answer),), pair.has_cloud) for answer in (pair.chosen, pair.rejected)
    )
    return TrainingExample(pair.record_id, epoch, chosen, rejected)


def minimal_pair_example(
    dataset: Dataset, sampler: ConversationSampler, *, share: float, seed: int
) -> Callable[[Record, int], TrainingExample]:
    """Make minimal pairs of a keyed `share` of the samples, conversations of the rest.

    A minimal pair is one question about the fact that differs between an object and its twin. Records without a twin
    always give their conversation.
    """

    def example(record: Record, epoch: int) -> TrainingExample:
        stream = keyed_generator("twin", seed, epoch, record.id)
        twin = dataset.twin(record, epoch) if stream.random() < share else None
        if twin is None:
            return TrainingExample(record.id, epoch, sampler(record, epoch))
        options = draw_pair_options(twin.before, twin.after, seed, epoch, record.id, "twin")
        return _minimal_pair(record, twin, epoch, options if stream.random() < WITH_OPTIONS else None)

    return example


def tokenize_example(
    processor: Spa3dProcessor,
    example: Callable[[Item, int], TrainingExample],
    texts: Collection[RequiredText],
    *,
    blind: bool = False,
    truncate: bool = False,
) -> Callable[[Item, int], Sample]:
    """Make a function that tokenizes examples to samples: those of `texts` that an example has.

    With `blind` no sample has a cloud, whatever its prompt prefix: the control that is trained without clouds. With
    `truncate` conversations are cut at the longest prompt.

    Raises:
        DataError: in the returned function, if an answer is empty, or a conversation is longer than the longest prompt
            and `truncate` is false or would leave too little of it.

    """

    def sample(item: Item, epoch: int) -> Sample:
        current = example(item, epoch)
        has_cloud = current.chosen.has_cloud and not blind
        conversations = {"chosen": current.chosen, "rejected": current.rejected}
        made: dict[RequiredText, Tokens] = {}
        with error_context(current.record_id):
            for text, prefix in texts:
                conversation = conversations[text]
                if conversation is not None:
                    _refuse_empty_answers(conversation)
                    made[text, prefix] = processor.tokenize(conversation, cloud=prefix == "cloud" and has_cloud)
            _refuse_cut(made, truncate=truncate)
        return Sample(current.record_id, current.epoch, made, has_cloud, current.twin_id)

    return sample


def _minimal_pair(record: Record, twin: Twin, epoch: int, options: Sequence[str] | None) -> TrainingExample:
    """Make the question about the changed fact, with options or without."""
    chosen, rejected = (
        Round(append_options(fact.question, options), fact.answer)
        if options
        else Round(fact.question, fact.full_answer)
        for fact in (twin.before, replace(twin.after, question=twin.before.question))
    )
    true, false = (Conversation("twin", (turn,)) for turn in (chosen, rejected))
    return TrainingExample(record.id, epoch, true, false, twin.record.id)


def _refuse_empty_answers(conversation: Conversation) -> None:
    """Refuse a conversation of which a round would silently not be trained on."""
    empty = next((turn for turn in conversation.rounds if not turn.answer), None)
    if empty is not None:
        raise DataError(f"the answer to {empty.question[:80]!r} is empty, so there is nothing to learn; leave it out")


def _refuse_cut(tokens_by_text: dict[RequiredText, Tokens], *, truncate: bool) -> None:
    """Refuse texts without answer tokens after the cut, or with fewer under one of the prefixes.

    Without `truncate` refuse any text that is cut. Also refuse two answers that differ only behind the cut: there is
    nothing to prefer.
    """
    for (text, _), tokens in tokens_by_text.items():
        if tokens.cut and not truncate:
            raise DataError(
                f"{tokens.cut} tokens of the {text} conversation lie beyond the {len(tokens.ids)} that the model was "
                "made for (--llm.max_length); shorten the text, or cut it with --train.truncate true (of the stage)"
            )
        counts = {other.answer_count for (name, _), other in tokens_by_text.items() if name == text}
        if not tokens.answer_count or len(counts) > 1:
            left = "no answer token is" if not tokens.answer_count else "less of an answer than without a cloud is"
            raise DataError(
                f"{left} left of a conversation that is cut at {len(tokens.ids)} tokens (--llm.max_length); "
                "shorten the text"
            )
    for (text, prefix), chosen in tokens_by_text.items():
        rejected = tokens_by_text.get(("rejected", prefix))
        if text == "chosen" and rejected is not None and chosen.cut and chosen.ids == rejected.ids:
            raise DataError(
                f"the chosen and the rejected answer are the same up to --llm.max_length "
                f"({len(chosen.ids)} tokens); shorten the text"
            )
