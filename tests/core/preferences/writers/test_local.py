from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from spa3d.config.settings import LLMSettings, PairsSettings
from spa3d.contracts.dataset import Record
from spa3d.errors import CheckpointError, ConfigError
from spa3d.llm_clients.local import Reply
from spa3d.model.llm import make_llm
from spa3d.preferences.writers.contract import RewriteRequest
from spa3d.preferences.writers.factory import make_writer
from spa3d.preferences.writers.local import ROOM, LocalWriter
from spa3d.preferences.writers.prompts import TASK, prompt_for

ANSWERS = ("It is red.", "A red chair with four legs and a rather wide seat.", "four")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny LLaMA with random weights."""
    torch.manual_seed(0)
    settings = LLMSettings(hidden_size=32, layers=1, heads=2, intermediate_size=32, vocab_size=300, max_length=2048)
    llm, tokenizer, _ = make_llm(settings, lambda: iter(["a red chair with four legs"] * 3))
    path = tmp_path_factory.mktemp("lm")
    llm.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def requests(answers: tuple[str, ...] = ANSWERS) -> list[RewriteRequest]:
    record = Record(id="r", object_id="r", group="r", load=lambda: None, conversations=())  # type: ignore[arg-type,return-value]
    return [RewriteRequest(f"k{i}", "What is this?", answer, record) for i, answer in enumerate(answers)]


def rewrite(path: Path, items: list[RewriteRequest], batch_size: int = 2) -> dict[str, tuple[str | None, str]]:
    results: dict[str, tuple[str | None, str]] = {}
    LocalWriter(str(path), device="cpu", batch_size=batch_size).rewrite(
        items, lambda key, *rest: results.update({key: rest})
    )
    return results


def test_nonsense_is_no_wrong_answer(folder: Path) -> None:
    results = rewrite(folder, requests())
    assert set(results) == {"k0", "k1", "k2"}
    assert all(text is None and why for text, why in results.values()), results


def test_local_writer_returns_the_text_of_the_lm(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[list[str], list[int], int]] = []

    def write(model: Any, tokenizer: Any, prompts: list[str], room: list[int], *, batch_size: int) -> Iterator[Reply]:
        assert not model.training
        seen.append((prompts, room, batch_size))
        for index in reversed(range(len(prompts))):
            yield Reply(index, f" It is {('blue', 'pink')[index]}.\nQuestion: what")

    monkeypatch.setattr("spa3d.preferences.writers.local.generate_replies", write)
    items = requests(("It is red.", "It is green."))
    assert rewrite(folder, items) == {"k0": ("It is blue.", ""), "k1": ("It is pink.", "")}
    ((prompts, room, batch_size),) = seen
    assert prompts == [prompt_for(request) for request in items]
    assert batch_size == 2
    lengths = AutoTokenizer.from_pretrained(folder)([one.answer for one in items], add_special_tokens=False)
    assert room == [2 * len(ids) + ROOM for ids in lengths["input_ids"]]


def test_local_writer_skips_a_prompt_that_does_not_fit(folder: Path) -> None:
    results = rewrite(folder, requests(("It is red.", "red " * 900)))
    assert "do not fit" in results["k1"][1]
    assert "do not fit" not in results["k0"][1]


def test_a_folder_without_an_lm_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"--pairs\.llm .*cannot load a causal LM"):
        rewrite(tmp_path, requests())
    with pytest.raises(CheckpointError, match=r"from there \(there is no such folder\).*or the hub name of one"):
        rewrite(tmp_path / "gone", requests())


def test_no_request_reads_no_lm(tmp_path: Path) -> None:
    assert rewrite(tmp_path, []) == {}


@pytest.mark.parametrize(
    ("values", "missing"),
    [
        ({"writer": "model"}, "--pairs.llm"),
        ({"writer": "endpoint", "url": "http://localhost/v1"}, "--pairs.llm"),
        ({"writer": "endpoint", "llm": "m"}, "--pairs.url"),
    ],
)
def test_make_writer_names_a_missing_setting(values: dict[str, str], missing: str) -> None:
    with pytest.raises(ConfigError, match=missing):
        make_writer(PairsSettings(**values), dataset=None, seed=0, device="cpu")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({}, "rule"),
        ({"writer": "model", "llm": "some/lm"}, "model:some/lm"),
        ({"writer": "endpoint", "llm": "m", "url": "http://localhost/v1"}, "endpoint:m"),
    ],
)
def test_writer_names(values: dict[str, str], name: str) -> None:
    writer = make_writer(PairsSettings(**values), dataset=None, seed=0, device="cpu")  # type: ignore[arg-type]
    assert writer.name == name


def test_the_prompt_holds_task_question_and_answer() -> None:
    (items,) = requests(("It is red.",))
    assert prompt_for(items) == f"{TASK}\n\nQuestion: What is this?\nTrue answer: It is red.\nRewritten answer:"
