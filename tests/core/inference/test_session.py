"""Sessions: answers with log p, without the cloud, among options, over several rounds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import spa3d
from spa3d.contracts.dataset import Conversation, Round
from spa3d.errors import ConfigError, DataError
from spa3d.inference.answers import CloudQuestion
from spa3d.inference.generation import Decoding, Generator
from spa3d.inference.session import Session

SHORT = Decoding(max_tokens=6)
QUESTION = "What is this?"


@pytest.fixture(scope="module")
def session(model_folder: Path) -> Session:
    return spa3d.session(model_folder, device="cpu")


def log_p(session: Session, conversation: Conversation, cloud: np.ndarray | None) -> float:
    """Log p of the last answer, by a plain forward over the tokenized conversation."""
    tokens = session.processor.tokenize(conversation, cloud=cloud is not None)
    last = [
        label if turn == max(tokens.rounds) else -100 for label, turn in zip(tokens.labels, tokens.rounds, strict=True)
    ]
    points = None if cloud is None else session.processor("x", cloud)["points"]
    output = session.model(input_ids=torch.tensor([tokens.ids]), labels=torch.tensor([last]), points=points)
    return float(output.answer_logp.detach().sum())


def test_ask_equals_processor_and_generate(session: Session, cloud_files: Path) -> None:
    cloud = np.load(cloud_files / "0.npy")
    inputs = session.processor(QUESTION, cloud)
    written = session.model.generate(**inputs, max_new_tokens=6, do_sample=False)
    text = session.processor.decode_answer(written[0, inputs["input_ids"].shape[1] :])
    for source in (cloud, cloud_files / "0.npy", str(cloud_files / "0.npy")):
        answer = session.ask(source, QUESTION, decoding=SHORT)
        assert answer.text == text
        assert answer.blind is answer.blind_logp is None
    assert answer.tokens == 6
    assert not answer.stopped
    assert answer.logp_per_token == answer.logp / 6
    assert session.ask(cloud_files / "1.npy", QUESTION, decoding=SHORT) != answer  # the cloud makes a difference


def test_ask_blind_scores_the_same_answer_without_the_cloud(session: Session, cloud_files: Path) -> None:
    answer = session.ask(cloud_files / "0.npy", QUESTION, blind=True, decoding=SHORT)
    alone = session.ask(None, QUESTION, blind=True, decoding=SHORT)
    assert answer.blind is not None
    assert answer.blind.text == alone.text
    assert answer.blind_logp != pytest.approx(answer.logp, abs=0.1)
    assert alone.blind is None
    item = CloudQuestion(QUESTION, session.encode(cloud_files / "0.npy"))
    again = session.answer([item, CloudQuestion(QUESTION), item], blind=True, decoding=SHORT)
    assert [each.text for each in again] == [answer.text, alone.text, answer.text]
    assert again[0].blind_logp == pytest.approx(answer.blind_logp, abs=1e-4)


def test_ask_with_options_chooses_the_most_likely(session: Session, cloud_files: Path) -> None:
    options = ("a red chair", "a blue table", "four legs with color")
    cloud = np.load(cloud_files / "2.npy")
    answer = session.ask(cloud, QUESTION, options=options, blind=True)
    shown, hidden = (
        [log_p(session, Conversation("x", (Round(QUESTION, option),)), each) for option in options]
        for each in (cloud, None)
    )
    assert answer.option_logp == pytest.approx(shown, abs=1e-3)
    assert answer.text == options[shown.index(max(shown))]
    assert answer.logp == max(answer.option_logp)
    assert answer.blind is not None
    assert answer.blind.option_logp == pytest.approx(hidden, abs=1e-3)
    assert answer.blind.text == options[hidden.index(max(hidden))]
    assert answer.blind_logp == answer.blind.option_logp[options.index(answer.text)]
    mixed = session.answer([CloudQuestion(QUESTION, None, options), CloudQuestion(QUESTION)], decoding=SHORT)
    assert mixed[0].option_logp == pytest.approx(hidden, abs=1e-3)
    assert not mixed[1].option_logp


def test_chat_asks_with_the_rounds_before(session: Session, cloud_files: Path) -> None:
    cloud = np.load(cloud_files / "0.npy")
    chat = session.chat(cloud)
    first, second = (chat.ask(question, decoding=SHORT, blind=True) for question in (QUESTION, "Which color?"))
    assert [turn.question for turn in chat.rounds] == [QUESTION, "Which color?"]
    assert chat.rounds[0].answer == first.text
    assert (
        second.text
        == session.answer(
            [CloudQuestion("Which color?", session.encode(cloud), history=(Round(QUESTION, first.text),))],
            decoding=SHORT,
        )[0].text
    )
    ids = session.processor.prompt_ids([Round(QUESTION, "A chair.")], "Which color?", cloud=True)
    whole = Conversation("x", (Round(QUESTION, "A chair."), Round("Which color?", "Red.")))
    tokens = session.processor.tokenize(whole, cloud=True)
    assert ids == tokens.ids[: tokens.rounds.index(1)]
    with pytest.raises(DataError, match="a mark of the model's own"):
        chat.ask("<point_patch>")
    with pytest.raises(DataError, match="leaves no room for an answer in the 128 positions"):
        chat.ask("color " * 100)
    assert len(chat.rounds) == 2


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((50, 6), np.float32), "50 points of the cloud all lie in one place"),
        (np.random.default_rng(0).random((8, 6), np.float32), "8 points, but the encoder needs at least"),
        (np.full((50, 6), np.nan, np.float32), "NaN or infinity in 50 of 50 points"),
    ],
)
def test_encode_names_the_file_of_a_bad_cloud(
    session: Session, tmp_path: Path, array: np.ndarray, message: str
) -> None:
    np.save(tmp_path / "bad.npy", array)
    with pytest.raises(DataError, match=rf"^{tmp_path / 'bad.npy'}: .*{message}"):
        session.ask(tmp_path / "bad.npy", QUESTION)
    with pytest.raises(DataError, match=rf"^the cloud: .*{message}"):
        session.ask(array, QUESTION)


def test_examples_of_the_page_run(
    model_folder: Path, cloud_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[3] / "docs" / "using-models.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Generator, "room", lambda self, prompt, most: 4)  # random weights never end an answer
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "latest").symlink_to(model_folder)
    (tmp_path / "mug.npy").symlink_to(cloud_files / "0.npy")
    (tmp_path / "chair.npy").symlink_to(cloud_files / "1.npy")
    weights = spa3d.create("encoder", "pointnext-tiny").state_dict()
    torch.save(weights, tmp_path / "point_bert_v1.2.pt")
    names: dict[str, Any] = {}
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    for block in blocks:
        exec(block.replace("pointbert-pointllm", "pointnext-tiny"), names)
    assert len(blocks) == 3
    assert names["answer"].blind is not None
    assert names["choice"].text in ("A mug.", "A chair.")
    assert tuple(names["features"][1].shape) == (128,)
    assert len(names["chat"].rounds) == 2


def test_session_refuses_a_missing_device(model_folder: Path) -> None:
    with pytest.raises(ConfigError, match="--device cuda:9: not on this machine"):
        spa3d.session(model_folder, device="cuda:9")
