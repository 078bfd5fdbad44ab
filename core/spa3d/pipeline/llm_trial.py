"""Trial of an LLM and its tokenizer, once, before any training.

Whatever a run will ask of them is asked here in a small way: a conversation in the template, the likelihood of options
and of training text, answers. The likelihoods must be those of the LLM's own forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from spa3d.contracts.benchmark import Question
from spa3d.contracts.dataset import Conversation, Round
from spa3d.errors import CheckpointError, DataError, SpaError, first_line
from spa3d.inference.predictor import Predictor
from spa3d.inference.views import BlindView
from spa3d.model.llm import SLOW
from spa3d.model.modeling import Spa3dModel
from spa3d.model.processing import Spa3dProcessor
from spa3d.model.special_tokens import reject_special_tokens
from spa3d.model.tokens import IGNORED, Tokens, collate

ROUNDS = (Round("What is this?", "A small red mug."), Round("Which color?", "red"))
OPTIONS = ("red", "a dark green")
QUESTIONS = ("What?", "What is this small thing, and which color does it have?")
"""Questions of different lengths, so that one of them is padded."""
EXACT, ROUNDED = 1e-4, 0.1
"""Largest difference of a log-likelihood, relative to 1 + its size, in float32 and in half precision."""


def try_llm(model: Spa3dModel, processor: Spa3dProcessor, requested_by: str) -> None:
    """Try the LLM of `model` and its tokenizer on a few texts without a cloud.

    Args:
        model: the 3D LLM; its mode is restored.
        processor: its processor.
        requested_by: the flag that named the LLM, for messages.

    Raises:
        CheckpointError: the LLM or its tokenizer does not do what a run needs.

    """
    training = model.training
    try:
        with torch.no_grad():
            _try_prompts(processor)
            model.eval()
            _try_scores(model, processor)
            _try_answers(model, processor)
    except CheckpointError as error:
        raise CheckpointError(f"{requested_by}: {error}") from error
    except SpaError:
        raise
    except Exception as error:
        raise CheckpointError(
            f"{requested_by}: a trial of the LLM ({model.config.text_config.model_type}) fails: "
            f"{type(error).__name__}: {first_line(error)}; choose another LLM"
        ) from error
    finally:
        model.train(training)


def _try_prompts(processor: Spa3dProcessor) -> None:
    """Check the tokenizer, the system prompt, and the labels of a conversation."""
    tokenizer, template = processor.tokenizer, processor.conversation
    if not tokenizer.is_fast:
        raise CheckpointError(SLOW)
    if tokenizer.eos_token is None and template != "chat":
        raise CheckpointError(
            f"its tokenizer has no end token, which --llm.template {template} puts behind an answer; set eos_token in "
            "tokenizer_config.json, or take --llm.template chat"
        )
    try:
        reject_special_tokens([Round(processor.system, "")], processor.special_tokens)
    except DataError as error:
        raise CheckpointError(f"--llm.system: {error}") from error
    tokens = processor.tokenize(Conversation("trial", ROUNDS), cloud=False)
    for number, turn in enumerate(ROUNDS):
        labels = [label for label, index in zip(tokens.labels, tokens.rounds, strict=True) if index == number]
        result = processor.decode_answer([label for label in labels if label not in processor.stop_ids])
        if result != turn.answer:
            raise CheckpointError(
                f"in --llm.template {template} its tokenizer reads the answer {turn.answer!r} as {result!r}; choose "
                "another template or LLM"
            )


def _try_scores(model: Spa3dModel, processor: Spa3dProcessor) -> None:
    """Compare likelihoods of options and of training text with those of the LLM's own forward."""
    rows = [processor.tokenize(Conversation("trial", ROUNDS[:count]), cloud=False) for count in (1, 2)]
    batch = collate(rows, processor.pad_id, model.device)
    del batch["rounds"]
    _compare(model, "training text", model(**batch).answer_logp.sum(dim=1).tolist(), rows)
    predictor = Predictor(model, processor, {"blind": BlindView()})
    questions = [Question(turn.question, "trial", turn.question, OPTIONS, OPTIONS[0], "trial") for turn in ROUNDS]
    answers = predictor.answer(questions, "blind", lambda units: None)
    for question, prediction in zip(questions, answers, strict=True):
        wording = [Conversation("trial", (Round(question.prompt, option),)) for option in OPTIONS]
        rows = [processor.tokenize(conversation, cloud=False) for conversation in wording]
        _compare(model, "options", prediction.option_logp or (), rows)


def _try_answers(model: Spa3dModel, processor: Spa3dProcessor) -> None:
    """Compare the likelihoods of generated answers, in a padded batch, with those of the LLM."""
    llm: Any = model
    batch = processor(QUESTIONS).to(model.device)
    prompts = [ids[real.bool()].tolist() for ids, real in zip(batch["input_ids"], batch["attention_mask"], strict=True)]
    written = llm.generate(
        **batch,
        max_new_tokens=3,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=processor.pad_id,
        output_logits=True,
        return_dict_in_generate=True,
    )
    ids = written.sequences[:, batch["input_ids"].shape[1] :]
    logp = torch.stack(written.logits, dim=1).float().log_softmax(dim=-1)
    sums = logp.gather(2, ids[..., None]).sum(dim=(1, 2)).tolist()
    answers = [
        Tokens([*prompt, *answer], [*[IGNORED] * len(prompt), *answer], [])
        for prompt, answer in zip(prompts, ids.tolist(), strict=True)
    ]
    _compare(model, "answers", sums, answers)


def _compare(model: Spa3dModel, what: str, scored: Sequence[float], rows: Sequence[Tokens]) -> None:
    """Compare `scored` with the likelihoods of `rows`, each alone in the LLM's own forward."""
    allowed = EXACT if model.dtype == torch.float32 else ROUNDED
    for value, row in zip(scored, rows, strict=True):
        ids, labels = (torch.tensor(values, device=model.device) for values in (row.ids, row.labels))
        logits: Any = model.language_model(input_ids=ids[None]).logits
        logp = logits[0, :-1].float().log_softmax(dim=-1)
        labeled = labels[1:] != IGNORED
        own = float(logp[labeled].gather(1, labels[1:][labeled][:, None]).sum())
        if not abs(value - own) <= allowed * (1 + abs(own)):
            raise CheckpointError(
                f"the LLM ({model.config.text_config.model_type}) scores {what} as {value:.4f} nats in a padded batch "
                f"and as {own:.4f} alone, so its scores could not be believed; choose another LLM"
            )
