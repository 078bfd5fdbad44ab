"""Command line in this process, up to the first training step."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, Protocol

import numpy as np
import pytest

from spa3d.cli import main

LONGEST = 400
"""Characters of one fault."""
SMOKE = ("run", "--preset", "smoke", "--device", "cpu", "--output", "out")


class Accepted(AssertionError):
    """The input reached the first stage of the run."""


class Refuse(Protocol):
    """Runs a command line that must be refused, and returns the message."""

    def __call__(self, *argv: str, messages: int = 1, code: int = 2) -> str: ...


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as the working directory, with a workspace beside it."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("SPA3D_PLUGINS", "")
    monkeypatch.setenv("SPA3D_BASES", str(tmp_path / "bases"))
    for name in ("SPA3D_REGISTRY", "COLUMNS", "RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    return here


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], workplace: Path) -> Refuse:
    """Check a refusal: exit code, one short line for each fault, nothing else, and nothing made."""
    from spa3d.pipeline import run as module

    run_all = module.Run.run_all

    def load_only(run: module.Run, *, resume: bool) -> None:
        def load(*_: Any) -> NoReturn:
            _ = run.model_and_processor if run.config.base.path else run.builder.model_and_processor()
            raise Accepted("this input was accepted")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "run_stages", load)
            run_all(run, resume=resume)

    monkeypatch.setattr(module.Run, "run_all", load_only)

    def check(*argv: str, messages: int = 1, code: int = 2) -> str:
        before = {path.name for path in workplace.iterdir()}
        assert main(argv) == code
        printed = capsys.readouterr()
        lines = [line for line in printed.err.splitlines() if line.startswith("error: ")]
        assert "Traceback" not in printed.err
        assert len(lines) <= messages, printed.err
        for line in lines:
            assert len(line) <= LONGEST + len("error: "), f"{len(line)} characters: {line}"
            assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", line), line
        assert lines, "no message"
        made = sorted({path.name for path in workplace.iterdir()} - before)
        assert made in ([], ["out"]), "something was left behind"
        # The corrected command may use this folder again.
        assert not made or {path.name for path in (workplace / "out").iterdir()} <= {"config.yaml", "passport.json"}
        return printed.err

    return check


@pytest.fixture
def refuse_run(refuse: Refuse) -> Refuse:
    """The same for a run of seconds with more flags."""

    def check(*argv: str, messages: int = 1, code: int = 2) -> str:
        return refuse(*SMOKE, *argv, messages=messages, code=code)

    return check


@pytest.fixture(scope="session")
def clean_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders ``data`` (PointLLM's layout), ``llm`` and ``base``, all of them usable."""
    root = tmp_path_factory.mktemp("clean")
    _write_data(root / "data")
    _write_models(root)
    return root


def _write_data(root: Path) -> None:
    (root / "8192_npy").mkdir(parents=True)
    (root / "anno_data").mkdir()
    draws = np.random.default_rng(0)
    for split, count in (("train", 24), ("val", 6), ("test", 6)):
        names = [f"{split}{number}" for number in range(count)]
        entries = [
            {
                "object_id": name,
                "conversation_type": "simple_description",
                "conversations": [
                    {"from": "human", "value": "<point>\nWhat is this?"},
                    {"from": "gpt", "value": "A red chair."},
                ],
            }
            for name in names
        ]
        kinds = ("chair", "table", "lamp", "sofa")
        facts = [{"object_id": name, "category": kinds[number % 4]} for number, name in enumerate(names)]
        (root / "anno_data" / f"x_{split}.json").write_text(json.dumps(entries))
        (root / "anno_data" / f"facts_{split}.json").write_text(json.dumps(facts))
        for name in names:
            np.save(root / "8192_npy" / f"{name}_8192.npy", draws.random((128, 6)).astype(np.float32))


def _write_models(root: Path) -> None:
    from spa3d.config.resolve import resolve
    from spa3d.config.settings import LLMSettings
    from spa3d.model.llm import make_llm
    from spa3d.model.saving import save_model
    from spa3d.pipeline.open_run import open_run
    from spa3d.registry.registry import load_registry

    shape = LLMSettings(hidden_size=16, layers=1, heads=2, intermediate_size=16, vocab_size=300)
    llm, tokenizer, _ = make_llm(shape, lambda: iter(["a red chair"] * 3))
    for part in (llm, tokenizer):
        part.save_pretrained(root / "llm")
    settings = {"preset": "smoke", "device": "cpu", "llm.hidden_size": 16, "llm.heads": 2, "llm.layers": 1}
    run = open_run(resolve(settings), load_registry(), output=Path("unused"))
    save_model(*run.builder.model_and_processor(), root / "base")


@pytest.fixture
def folder(clean_folders: Path, workplace: Path) -> Callable[[str], Path]:
    """Copy one of the clean folders into the working directory."""

    def copy(name: str) -> Path:
        shutil.copytree(clean_folders / name, workplace / name)
        return workplace / name

    return copy
