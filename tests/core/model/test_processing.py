"""Model inputs: no special token comes from data, and no answer is cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from spa3d.contracts.dataset import Conversation, Round
from spa3d.errors import DataError


@pytest.mark.parametrize("mark", ["<point_patch>", "<point_start>", "</s>", "<s>", "<pad>"])
@pytest.mark.parametrize("where", ["question", "answer"])
def test_text_with_a_special_token_is_refused(toy: Any, mark: str, where: str) -> None:
    _, processor, _ = toy()
    texts = {"question": "What?", "answer": "A thing.", where: f"Look: {mark}!"}
    conversation = Conversation("single_round", (Round(**texts),))
    with pytest.raises(DataError, match=f"'Look: {mark}!' holds '{mark}'"):
        processor.tokenize(conversation, processor.prompt_prefix("cloud"))


def test_other_markup_is_text_like_any_other(toy: Any) -> None:
    _, processor, _ = toy()
    text = "[/red]<script>|<point><|im_end|>\u2028 < s >"
    tokens = processor.tokenize(Conversation("single_round", (Round("What?", text),)), "")
    answer_ids = [label for label in tokens.labels if label >= 0]
    assert processor.tokenizer.decode(answer_ids) == f" {text}</s>"


def test_option_ids_refuses_an_option_that_does_not_fit(toy: Any) -> None:
    _, processor, _ = toy()
    prefix, tails = processor.option_ids("Which?", ("left", "right"), "cloud")
    processor.max_length = len(prefix) + max(map(len, tails))
    assert processor.option_ids("Which?", ("left", "right"), "cloud") == (prefix, tails)
    processor.max_length -= 1
    with pytest.raises(DataError, match=f"a question of {processor.max_length + 1} tokens; raise --llm.max_length"):
        processor.option_ids("Which?", ("left", "right"), "cloud")


def test_question_ids_refuses_a_question_that_does_not_fit(toy: Any) -> None:
    _, processor, _ = toy()
    processor.max_length = len(processor.question_ids("What is this?", "cloud")) - 1
    with pytest.raises(DataError, match=r"raise --llm\.max_length"):
        processor.question_ids("What is this?", "cloud")


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
