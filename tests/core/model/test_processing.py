"""Model inputs: no special token comes from data, and no answer is cut."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from spa3d.contracts.dataset import Conversation, Round
from spa3d.errors import DataError
from spa3d.model.processing import Spa3dProcessor
from spa3d.model.tokens import Tokens


@pytest.mark.parametrize("mark", ["<point_patch>", "<point_start>", "</s>", "<s>", "<pad>"])
@pytest.mark.parametrize("where", ["question", "answer"])
def test_text_with_a_special_token_is_refused(toy: Any, mark: str, where: str) -> None:
    _, processor, _ = toy()
    texts = {"question": "What?", "answer": "A thing.", where: f"Look: {mark}!"}
    conversation = Conversation("single_round", (Round(**texts),))
    with pytest.raises(DataError, match=f"'Look: {mark}!' holds '{mark}'"):
        processor.tokenize(conversation, cloud=True)


def test_other_markup_is_text_like_any_other(toy: Any) -> None:
    _, processor, _ = toy()
    text = "[/red]<script>|<point><|im_end|>\u2028 < s >"
    tokens = processor.tokenize(Conversation("single_round", (Round("What?", text),)), cloud=False)
    answer_ids = [label for label in tokens.labels if label >= 0]
    assert processor.tokenizer.decode(answer_ids) == f" {text}</s>"


def test_option_ids_refuses_an_option_that_does_not_fit(toy: Any) -> None:
    _, processor, _ = toy()
    prefix, tails = processor.option_ids("Which?", ("left", "right"), cloud=True)
    processor.max_length = len(prefix) + max(map(len, tails))
    assert processor.option_ids("Which?", ("left", "right"), cloud=True) == (prefix, tails)
    processor.max_length -= 1
    with pytest.raises(DataError, match=f"a question of {processor.max_length + 1} tokens, and the model was made"):
        processor.option_ids("Which?", ("left", "right"), cloud=True)


def test_question_ids_refuses_a_question_that_does_not_fit(toy: Any) -> None:
    _, processor, _ = toy()
    processor.max_length = len(processor.question_ids("What is this?", cloud=True)) - 1
    with pytest.raises(DataError, match=r"the model was made for 32 \(--llm\.max_length\)"):
        processor.question_ids("What is this?", cloud=True)


def test_a_cloud_without_color_gets_the_filling_and_bytes_are_divided_on_request_only(toy: Any) -> None:
    _, processor, clouds = toy()
    cloud = clouds.dataset.record("train-0").cloud()
    processor.points = {**processor.points, "missing_color": 0.4}
    bare = processor("What is this?", cloud[:, :3])["points"][0]
    full = processor("What is this?", cloud)["points"][0]
    assert torch.equal(bare[:, :3], full[:, :3])
    assert (bare[:, 3:] == np.float32(0.4)).all()
    bright = np.concatenate([cloud[:, :3], np.float32(255) * cloud[:, 3:]], axis=1)
    torch.testing.assert_close(processor("What is this?", bright, colors="0-255")["points"][0], full)
    with pytest.raises(DataError, match="cloud 0: colors look like 0-255"):
        processor("What is this?", bright)


@pytest.mark.parametrize(
    ("cloud", "message"),
    [
        (np.zeros((4, 5), np.float32), r"cloud 1: shape \(4, 5\); a cloud is \(N, 6\)"),
        (np.zeros((4, 3), np.int64), "cloud 1: dtype int64; a cloud holds floats"),
        (np.full((4, 3), np.nan), "cloud 1: NaN or infinity in 4 of 4 points"),
    ],
)
def test_processor_refuses_an_invalid_cloud(toy: Any, cloud: np.ndarray, message: str) -> None:
    _, processor, clouds = toy()
    with pytest.raises(DataError, match=message):
        processor(["What?", "What?"], [clouds.dataset.record("train-0").cloud(), cloud])


CLOUD = np.random.default_rng(0).random((32, 6)).astype(np.float32)


@pytest.mark.parametrize(
    ("text", "clouds", "message"),
    [
        ("What?", "x.ply", "cloud 0: a str; a cloud is a numpy array (read a .npy file with numpy.load"),
        ("What?", Path("x.npy"), "cloud 0: a PosixPath; a cloud is a numpy array"),
        (["What?"] * 2, ["x.ply", "y.ply"], "cloud 0: a str; a cloud is a numpy array"),
        (["What?"] * 2, [CLOUD, "y.ply"], "cloud 1: a str; a cloud is a numpy array"),
        ("What?", torch.from_numpy(CLOUD), "cloud 0: a Tensor; a cloud is a numpy array"),
        ("What?", CLOUD.tolist(), "cloud 0: a list; a cloud is a numpy array"),
        ("What?", {"points": CLOUD}, "cloud 0: a dict; a cloud is a numpy array"),
        ("What?", [None], "cloud 0: a NoneType; a cloud is a numpy array"),
        ("What?", np.float32(1), "cloud 0: a float32; a cloud is a numpy array"),
        ("What?", CLOUD[0], "cloud 0: shape (6,); a cloud is (N, 6)"),
        ("What?", CLOUD[None, None], "cloud 0: shape (1, 1, 32, 6); a cloud is (N, 6)"),
        ("What?", CLOUD.astype(object), "cloud 0: dtype object; a cloud holds floats"),
        ("What?", CLOUD * 0, "cloud 0: the 32 points of the cloud all lie in one place"),
        ("What?", np.stack([CLOUD] * 3), "1 questions and 3 clouds; give one cloud for each question"),
        (["What?"] * 2, CLOUD, "2 questions and 1 clouds; give one cloud for each question"),
        (None, CLOUD, "text: got NoneType, which is no text; give a question or a list of questions"),
        (["What?", 3], None, "text: got int, which is no text; give a question or a list of questions"),
        ([], None, "text: the list is empty; give a question or a list of questions"),
    ],
)
def test_processor_refuses_what_is_no_question_or_no_cloud(toy: Any, text: Any, clouds: Any, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        toy()[1](text, clouds)


def test_processor_takes_one_array_a_list_or_a_batch(toy: Any) -> None:
    _, processor, _ = toy()
    one = processor("What?", CLOUD)["points"]
    for clouds in ([CLOUD], (CLOUD,), CLOUD[None]):
        assert torch.equal(processor(["What?"], clouds)["points"], one)
    ragged = np.empty(2, dtype=object)
    ragged[:] = [CLOUD, CLOUD]
    assert processor(["What?", "Which?"], ragged)["points"].shape == (2, *one.shape[1:])


def test_processor_refuses_an_unknown_range_of_colors(toy: Any) -> None:
    with pytest.raises(DataError, match="colors: 'rgb'; possible: 0-1, 0-255"):
        toy()[1]("What?", CLOUD, colors="rgb")


def test_processor_refuses_arguments_that_it_does_not_know(toy: Any) -> None:
    _, processor, clouds = toy()
    with pytest.raises(TypeError, match="points"):
        processor(text="What?", points=clouds.dataset.record("train-0").cloud())


@pytest.mark.parametrize("count", [0, 1, 3])
def test_processor_refuses_another_number_of_clouds_than_questions(toy: Any, count: int) -> None:
    _, processor, clouds = toy()
    with pytest.raises(DataError, match=f"2 questions and {count} clouds; give one cloud for each question, or none"):
        processor(["What?", "Which?"], [clouds.dataset.record("train-0").cloud()] * count)


def test_processor_puts_the_cloud_at_its_mark(toy: Any) -> None:
    _, processor, clouds = toy()
    cloud = clouds.dataset.record("train-0").cloud()
    decode = processor.tokenizer.decode
    block = processor.point_block
    ids = processor("Look at <point> and tell.", cloud)["input_ids"][0]
    assert decode(ids) == f"<s>USER: Look at {block} and tell. ASSISTANT:"
    assert decode(processor("Look at <point> and tell.")["input_ids"][0]) == "<s>USER: Look at and tell. ASSISTANT:"
    for texts in (("<point> or <point>?",), ("What?", "And <point>?")):
        rounds = tuple(Round(text, "A thing.") for text in texts)
        with pytest.raises(DataError, match="<point> may occur once, in the first question"):
            processor.tokenize(Conversation("multi_round", rounds), cloud=True)


def test_text_with_a_special_token_that_no_attribute_names_is_refused(tokenizer: Any) -> None:
    assert "<|eot|>" not in tokenizer.all_special_tokens
    with pytest.raises(DataError, match=r"holds '<\|eot\|>'"):
        Spa3dProcessor(tokenizer).question_ids("Is <|eot|> here?", cloud=False)


HARD = ("A mug.  It is 猫.", "猫", " red", "red\n\nand  blue ", "x", "\N{GRINNING FACE}")
"""Answers with spaces that are tokens, and characters that are several."""


def spans(tokens: Tokens) -> list[tuple[int, int]]:
    """First and last place of each round, which has all places between them."""
    result = []
    for number in sorted({*tokens.rounds} - {-1}):
        places = [position for position, index in enumerate(tokens.rounds) if index == number]
        assert places == [*range(places[0], places[-1] + 1)]
        result.append((places[0], places[-1]))
    return result


@pytest.mark.parametrize("conversation", ["vicuna", "plain", "chat"])
def test_tokenize_labels_every_token_of_an_answer(
    any_tokenizer: Any, any_template: tuple[str, str], conversation: str
) -> None:
    any_tokenizer.chat_template, end = any_template
    processor = Spa3dProcessor(any_tokenizer, conversation=conversation)
    end = end if conversation == "chat" else "</s>"
    rounds = tuple(Round("What is this?", text) for text in HARD)
    tokens = processor.tokenize(Conversation("multi_round", rounds), cloud=False)
    assert any_tokenizer.decode(tokens.ids).count(end) >= len(rounds)
    for (first, last), text in zip(spans(tokens), HARD, strict=True):
        assert tokens.labels[first : last + 1] == tokens.ids[first : last + 1]
        assert tokens.ids[last] == any_tokenizer.convert_tokens_to_ids(end)
        assert any_tokenizer.decode(tokens.ids[first:last]).strip() == text.strip()


@pytest.mark.parametrize("conversation", ["vicuna", "plain", "chat"])
def test_a_question_is_asked_as_it_is_trained(
    any_tokenizer: Any, any_template: tuple[str, str], conversation: str
) -> None:
    any_tokenizer.chat_template, _ = any_template
    processor = Spa3dProcessor(any_tokenizer, conversation=conversation)
    for text in map(str.strip, HARD):
        tokens = processor.tokenize(Conversation("single_round", (Round("What is this?", text),)), cloud=False)
        assert processor.question_ids("What is this?", cloud=False) == tokens.ids[: tokens.rounds.index(0)]


def test_option_ids_are_the_ids_of_each_option_in_its_prompt(any_tokenizer: Any, any_template: tuple[str, str]) -> None:
    any_tokenizer.chat_template, _ = any_template
    for conversation in ("vicuna", "plain", "chat"):
        processor = Spa3dProcessor(any_tokenizer, conversation=conversation)
        for options in (HARD, HARD[::-1]):
            head, tails = processor.option_ids("Which?", options, cloud=False)
            for option, tail in zip(options, tails, strict=True):
                tokens = processor.tokenize(Conversation("option", (Round("Which?", option),)), cloud=False)
                end = spans(tokens)[0][1] + 1
                assert head + tail == tokens.ids[:end], "what stands behind the end token is not scored"


def test_a_prompt_never_ends_with_the_end_token(any_tokenizer: Any) -> None:
    ids = Spa3dProcessor(any_tokenizer).question_ids("What?", cloud=False)
    assert any_tokenizer.eos_token_id not in ids
    assert ids[0] == any_tokenizer.bos_token_id
    assert any_tokenizer.decode(ids).endswith("ASSISTANT:")


def test_padding_needs_no_padding_token(tokenizer: Any) -> None:
    assert tokenizer.pad_token_id is None
    processor = Spa3dProcessor(tokenizer)
    assert processor.pad([[5, 6], [7]], side="left")["attention_mask"].tolist() == [[1, 1], [0, 1]]
    assert processor.pad_id == tokenizer.eos_token_id
    tokenizer.eos_token = None
    assert processor.pad_id == 0


def test_stop_ids_hold_the_end_token_of_the_chat_template(tokenizer: Any, any_template: tuple[str, str]) -> None:
    tokenizer.chat_template, end = any_template
    stops = {tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids(end)}
    assert Spa3dProcessor(tokenizer, conversation="chat").stop_ids == sorted(stops)
    assert Spa3dProcessor(tokenizer).stop_ids == [tokenizer.eos_token_id]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_inputs_keep_their_points_in_float32_whatever_they_are_cast_to(toy: Any, dtype: torch.dtype) -> None:
    _, processor, _ = toy()
    cloud = np.random.default_rng(0).random((16, 6), dtype=np.float32)
    inputs = processor("What is this?", cloud)
    points = inputs["points"].clone()
    assert inputs.to(dtype) is inputs
    assert inputs["points"].dtype == torch.float32
    assert torch.equal(inputs["points"], points)
    assert inputs.to("meta", dtype)["points"].device.type == "meta"
    assert inputs["points"].dtype == torch.float32


@pytest.mark.parametrize("conversation", ["vicuna", "plain"])
@pytest.mark.parametrize("system", ["", "Be \"brief\" {{ now }} \U0001f600\n'%}'"])
def test_saved_chat_template_writes_the_prompts_of_training(
    toy: Any, tmp_path: Path, conversation: str, system: str
) -> None:
    _, processor, _ = toy()
    processor.conversation, processor.system = conversation, system
    processor.save_pretrained(tmp_path)
    saved = AutoTokenizer.from_pretrained(tmp_path)
    start = "<s>" if processor.tokenizer("").input_ids else ""
    rounds = (Round("What is <point>?", "A {mug}.\n"), Round(" Color? ", "Red"), Round("", ""), Round("Sure?", "Yes"))
    for cloud, block in ((True, "<point>"), (False, "")):
        shown = (Round(rounds[0].question.replace("<point>", block), rounds[0].answer), *rounds[1:])
        messages = [
            {"role": role, "content": text}
            for turn in shown
            for role, text in (("user", turn.question), ("assistant", turn.answer))
        ]
        text = saved.apply_chat_template(messages, tokenize=False)
        assert text == start + processor.prompt(shown, cloud=cloud).text
        ids = saved.apply_chat_template(messages[:-1], add_generation_prompt=True)["input_ids"]
        assert ids == processor.prompt_ids(shown[:-1], "Sure?", cloud=cloud)
    parts = [{"type": "point_cloud"}, {"type": "text", "text": "What?"}]
    text = processor.apply_chat_template([{"role": "user", "content": parts}])
    assert text == start + processor.prompt([Round("<point>\nWhat?", "")], cloud=True).text[: len(text) - len(start)]


def test_chat_template_of_the_tokenizer_is_saved_where_it_is_used(toy: Any, tmp_path: Path) -> None:
    _, processor, _ = toy()
    processor.tokenizer.chat_template = "{{ messages }}"
    processor.conversation = "chat"
    processor.save_pretrained(tmp_path)
    assert (tmp_path / "chat_template.jinja").read_text() == "{{ messages }}"
