"""Base of a run: a given one must have the run's parts, and stays unchanged."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from spa3d import create
from spa3d.artifacts.hashing import digest
from spa3d.artifacts.workspace import Workspace
from spa3d.config.settings import LLMSettings
from spa3d.errors import CheckpointError, RecordError
from spa3d.model.llm import make_llm
from spa3d.model.saving import save_model
from spa3d.pipeline.base import explain_cache_miss
from spa3d.pipeline.fingerprints import run_fingerprints
from spa3d.pipeline.parts import Fingerprints
from spa3d.pipeline.run import Run
from spa3d.runtime import file_hashes

OpenSmoke = Callable[..., Run]


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory: pytest.TempPathFactory, open_smoke: OpenSmoke) -> Path:
    """A 3D LLM as `smoke` makes it, untrained."""
    folder = tmp_path_factory.mktemp("given") / "model"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPA3D_PLUGINS", "")
        save_model(*open_smoke().builder.model_and_processor(), folder)
    return folder


@pytest.mark.parametrize("part", ["model", "."])
def test_a_base_made_alike_is_loaded_from_run_or_model_folder(
    saved_model: Path, part: str, open_smoke: OpenSmoke
) -> None:
    folder = saved_model if part == "model" else saved_model.parent
    model, _ = open_smoke({"base": str(folder)}).model_and_processor
    assert not model.training


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder.width": 16}, r"encoder.config.width: 32 → 16"),
        ({"projector": "linear"}, r"projector.name: 'mlp' → 'linear'"),
        ({"projector.widths": [64]}, r"projector.config.widths: \[128\] → \[64\]"),
        ({"points.count": 64}, r"points.count: 128 → 64"),
    ],
)
def test_a_base_made_of_other_parts_is_refused_before_any_work(
    saved_model: Path, change: Mapping[str, Any], message: str, open_smoke: OpenSmoke
) -> None:
    with pytest.raises(CheckpointError, match=message):
        open_smoke({"base": str(saved_model), **change})


def test_find_base_refuses_a_base_with_other_clouds(saved_model: Path, open_smoke: OpenSmoke) -> None:
    with pytest.raises(CheckpointError, match=r"points\.normalize: True → False"):
        _ = open_smoke({"base": str(saved_model), "points.normalize": False}).model_and_processor


def test_given_base_has_the_hash_of_its_files_and_is_not_changed(
    saved_model: Path, tmp_path: Path, bases: Path, open_smoke: OpenSmoke
) -> None:
    copy, other = tmp_path / "copy", tmp_path / "other"
    for folder in (copy, other):
        shutil.copytree(saved_model, folder)
    weights = bytearray((other / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (other / "model.safetensors").write_bytes(weights)
    runs = {folder: open_smoke({"base": str(folder)}) for folder in (saved_model, copy, other)}
    keys = {folder: run.base.key for folder, run in runs.items()}
    assert keys[saved_model] == keys[copy] != keys[other]
    assert runs[copy].measurement.shared_file("choice").is_relative_to(bases)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file of weights for `smoke`'s encoder."""
    torch.manual_seed(5)
    state = create("encoder", "pointnext-tiny").state_dict()
    torch.save({"state_dict": {f"module.point_encoder.{name}": v for name, v in state.items()}}, tmp_path / "enc.pt")
    return tmp_path / "enc.pt"


def test_a_base_begins_with_the_weights_its_encoder_was_given(weights: Path, open_smoke: OpenSmoke) -> None:
    making = open_smoke({"encoder.checkpoint": str(weights)}).builder
    assert [stage.name for stage in making.stages()] == ["base: llm", "base: align", "base: instruct"]
    model, _ = making.model_and_processor()
    weights_before = torch.load(weights)["state_dict"]
    assert all(
        value.equal(weights_before[f"module.point_encoder.{name}"])
        for name, value in model.encoder.state_dict().items()
    )
    fresh, _ = open_smoke().builder.model_and_processor()
    assert not model.encoder.state_dict()["encoder.encoder.0.0.convs.0.0.weight"].equal(
        fresh.encoder.state_dict()["encoder.encoder.0.0.convs.0.0.weight"]
    )
    assert all(  # what else is random is as it was
        value.equal(dict(fresh.named_parameters())[name])
        for name, value in model.named_parameters()
        if not name.startswith("encoder.")
    )


def test_base_key_follows_the_content_of_the_weights(weights: Path, tmp_path: Path, open_smoke: OpenSmoke) -> None:
    copy, other = tmp_path / "copy.pth", tmp_path / "other.pt"
    shutil.copy(weights, copy)
    content = torch.load(weights)
    content["epoch"] = 250
    torch.save(content, other)
    keys = {path: open_smoke({"encoder.checkpoint": str(path)}).base.key for path in (weights, copy, other)}
    assert keys[weights] == keys[copy] != keys[other]
    assert open_smoke().base.key not in keys.values()


def test_weights_are_hashed_once(weights: Path, open_smoke: OpenSmoke, monkeypatch: pytest.MonkeyPatch) -> None:
    run = open_smoke({"encoder.checkpoint": str(weights)})

    def key() -> str:
        return digest(run_fingerprints(run.config, run.registry, run.parts, run.execution).base)

    first, before = key(), weights.stat()
    assert first == run.base.key
    read: list[Path] = []
    monkeypatch.setattr(file_hashes, "hash_file", lambda path: read.append(path) or "00" * 32)
    assert key() == first
    assert read == []
    weights.write_bytes(bytes(before.st_size))
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert key() != first
    assert read == [weights]


@pytest.fixture(scope="module")
def llm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small LLM."""
    folder = tmp_path_factory.mktemp("foreign") / "llm"
    settings = LLMSettings(hidden_size=16, layers=1, heads=2, intermediate_size=16, vocab_size=300)
    model, tokenizer, _ = make_llm(settings, lambda: iter(["a red chair"] * 3))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_base_key_follows_the_content_of_the_llm(
    llm: Path, tmp_path: Path, open_smoke: OpenSmoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One LLM under two paths has one base; another LLM under one path has another."""
    monkeypatch.chdir(tmp_path)
    first = open_smoke({"llm": str(llm)}).base.key
    shutil.copytree(llm, "llm")
    assert open_smoke({"llm": "llm"}).base.key == first
    keys = {first}
    state = load_file("llm/model.safetensors")
    state["model.norm.weight"][0] += 1
    save_file(state, "llm/model.safetensors", metadata={"format": "pt"})
    keys.add(open_smoke({"llm": "llm"}).base.key)
    Path("llm/model.safetensors").unlink()
    for value in (2.0, 3.0):
        state["model.norm.weight"][0] = value
        torch.save(state, "llm/pytorch_model.bin")
        keys.add(open_smoke({"llm": "llm"}).base.key)
    words = json.loads(Path("llm/tokenizer_config.json").read_text())
    Path("llm/tokenizer_config.json").write_text(json.dumps({**words, "model_max_length": 77}))
    keys.add(open_smoke({"llm": "llm"}).base.key)
    assert len(keys) == 5


def test_keys_follow_the_arithmetic(saved_model: Path, open_smoke: OpenSmoke) -> None:
    """Of a given base, the key is that of its files; its answers depend on what computes them."""

    def answers(**settings: Any) -> Path:
        return open_smoke({"base": str(saved_model), **settings}).measurement.shared_file("choice")

    def key(**settings: Any) -> str:
        return str(open_smoke(settings).base.key)

    before = torch.get_num_threads()
    try:
        for made in (answers, key):
            assert len({made(threads=1), made(threads=2), made(threads=1, dtype="bfloat16")}) == 3
            assert made(threads=1) == made(threads=1)
    finally:
        torch.set_num_threads(before)
    assert answers(threads=1).parent.parent == answers(threads=1, dtype="bfloat16").parent.parent


def test_given_base_of_pickled_weights_has_the_hash_of_their_content(
    saved_model: Path, tmp_path: Path, open_smoke: OpenSmoke
) -> None:
    folder = tmp_path / "given"
    shutil.copytree(saved_model, folder)
    state, keys = load_file(folder / "model.safetensors"), set()
    (folder / "model.safetensors").unlink()
    for change in (0.0, 1.0):
        state["projector.layers.0.bias"] += change
        torch.save(state, folder / "pytorch_model.bin")
        keys.add(open_smoke({"base": str(folder)}).base.key)
    assert len(keys) == 2


def test_given_base_that_is_broken_is_named_with_its_flag(
    saved_model: Path, tmp_path: Path, open_smoke: OpenSmoke
) -> None:
    shutil.copytree(saved_model, tmp_path / "given")
    (tmp_path / "given" / "model.safetensors").write_bytes(b"<html>")
    with pytest.raises(CheckpointError, match=r"^--base .*given: .*given: the 3D LLM there cannot be read \("):
        _ = open_smoke({"base": str(tmp_path / "given")}).model_and_processor
    (tmp_path / "given" / "config.json").write_text("[]")
    with pytest.raises(CheckpointError, match=r"^--base .*given: .*: its config\.json is not that of a 3D LLM \("):
        open_smoke({"base": str(tmp_path / "given")})


def test_explain_cache_miss_compares_finished_bases_only(bases: Path, open_smoke: OpenSmoke) -> None:
    base = open_smoke().base
    folder = bases / "0123"
    (folder / "model").mkdir(parents=True)
    (folder / "base.json").write_text(json.dumps({"seed": 7}))
    assert explain_cache_miss(base, Workspace(bases)) == []
    (folder / "model" / "done.json").write_text("{}")
    assert "seed: 7 → 0" in explain_cache_miss(base, Workspace(bases))
    for number, garbage in enumerate((b"{", b"[]", b"\xff", b"[" * 100_000)):
        shutil.copytree(folder, bases / f"broken{number}")
        (bases / f"broken{number}" / "base.json").write_bytes(garbage)
    assert "seed: 7 → 0" in explain_cache_miss(base, Workspace(bases))


def test_base_key_follows_the_training_records(open_smoke: OpenSmoke) -> None:
    run = open_smoke()

    def fingerprints(**left_out: Collection[str]) -> Fingerprints:
        return run_fingerprints(run.config, run.registry, run.parts, run.execution, left_out=left_out)

    every, fewer = fingerprints(), fingerprints(train={"b", "a"})
    assert every.base != fewer.base == fingerprints(train=["a", "b"]).base
    tested = fingerprints(test=("t",))
    assert tested.base == every.base
    assert tested.answers["choice"] != every.answers["choice"]


def test_answers_follow_the_noise_only_where_it_is_contrasted(open_smoke: OpenSmoke) -> None:
    def key(**settings: object) -> str:
        run = open_smoke({name.replace("__", "."): value for name, value in settings.items()})
        return run_fingerprints(run.config, run.registry, run.parts, run.execution).answers["choice"]

    assert key(noise__level=0.5) == key(noise__level=0.7)
    contrasted = [key(noise__level=level, evaluate__decode="contrast") for level in (0.5, 0.7)]
    contrasted.append(key(noise__level=0.5, evaluate__decode="contrast", evaluate__contrast_alpha=2.0))
    assert len({*contrasted, key()}) == 4


@pytest.fixture
def half_llm(tmp_path: Path) -> Path:
    """An LLM stored in bfloat16, as most published ones are."""
    settings = LLMSettings(hidden_size=16, layers=1, heads=2, intermediate_size=32, vocab_size=320)
    llm, tokenizer, _ = make_llm(settings, lambda: iter(["a red chair", "a red table"]))
    for part in (llm.bfloat16(), tokenizer):
        part.save_pretrained(tmp_path / "half")
    return tmp_path / "half"


def dtypes(model: Any) -> dict[str, set[torch.dtype]]:
    return {name: {weight.dtype for weight in part.parameters()} for name, part in model.parts.items()}


def test_float32_arithmetic_holds_an_llm_stored_in_half_precision_in_float32(
    half_llm: Path, open_smoke: OpenSmoke
) -> None:
    model, _ = open_smoke({"llm": str(half_llm), "dtype": "float32"}).builder.model_and_processor()
    assert dtypes(model) == {name: {torch.float32} for name in ("encoder", "projector", "llm")}


def test_bfloat16_arithmetic_keeps_a_frozen_llm_as_it_is_stored(
    half_llm: Path, tmp_path: Path, open_smoke: OpenSmoke
) -> None:
    model, processor = open_smoke({"llm": str(half_llm), "dtype": "bfloat16"}).builder.model_and_processor()
    expected = {"encoder": {torch.float32}, "projector": {torch.float32}, "llm": {torch.bfloat16}}
    assert dtypes(model) == expected
    save_model(model, processor, tmp_path / "base")
    for dtype, llm in (("bfloat16", torch.bfloat16), ("float32", torch.float32)):
        again, _ = open_smoke({"base": str(tmp_path / "base"), "dtype": dtype}).model_and_processor
        assert dtypes(again) == {**expected, "llm": {llm}}
        assert all(one.equal(model.get_parameter(name).to(one.dtype)) for name, one in again.named_parameters())


def test_weights_of_a_finished_stage_come_back_in_float32(bases: Path, half_llm: Path, open_smoke: OpenSmoke) -> None:
    settings = {"llm": str(half_llm), "dtype": "bfloat16", "base.align.train": "llm"}
    first = open_smoke(settings)
    model, _ = first.builder.model_and_processor()
    model.set_trained("llm")
    with torch.no_grad():
        for weight in model.language_model.parameters():
            weight.add_(1e-6)
    (first.builder.base.folder / "align").mkdir(parents=True)
    first.builder.keep("align", first.config.base.align)
    resumed = open_smoke(settings).builder
    next(stage for stage in resumed.stages() if stage.name == "base: align").run()
    again, _ = resumed.model_and_processor()
    assert all(torch.equal(again.get_parameter(name), one) for name, one in model.named_parameters())


def test_keep_saves_only_trained_weights(bases: Path, open_smoke: OpenSmoke) -> None:
    run = open_smoke({"base.align.train": "encoder,projector"})
    making = run.builder
    (making.base.folder / "align").mkdir(parents=True)
    making.keep("align", run.config.base.align)
    kept = load_file(making.base.folder / "align" / "weights.safetensors")
    assert {name.partition(".")[0] for name in kept} == {"encoder", "projector"}


def test_keep_saves_an_llm_with_tied_embeddings(bases: Path, open_smoke: OpenSmoke) -> None:
    run = open_smoke()
    making = run.builder
    model, _ = making.model_and_processor()
    llm: Any = model.language_model
    llm.config.tie_word_embeddings = True
    llm.tie_weights()
    (making.base.folder / "llm").mkdir(parents=True)
    making.keep("llm", run.config.base.llm)
    kept = llm.lm_head.weight.detach().clone()
    llm.lm_head.weight.data.zero_()
    next(stage for stage in making.stages() if stage.name == "base: llm").run()
    assert (llm.lm_head.weight == kept).all()
    assert llm.lm_head.weight is llm.get_input_embeddings().weight


def test_a_base_chooses_its_parts_if_nobody_else_does(saved_model: Path, open_smoke: OpenSmoke) -> None:
    settings = json.loads((saved_model / "processor_config.json").read_text())["points"]
    config = open_smoke({"base": str(saved_model), "preset": "embedded"}).config
    assert config.points.count == settings["count"] == 128
    assert config.projector.config == {"widths": [128]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points.count": 65}, r"points.count: 64 → 65"),
        ({"encoder": "pointbert-tiny"}, r"encoder.config.width: 24 → 128"),
    ],
)
def test_a_pointllm_is_a_base(
    tmp_path: Path, make_pointllm: Any, open_smoke: OpenSmoke, change: Mapping[str, Any], message: str
) -> None:
    make_pointllm(tmp_path / "theirs", DEFAULT_POINT_PATCH_TOKEN="<dot>")
    settings = {"base": str(tmp_path / "theirs"), "dataset.points": 64}
    run = open_smoke(settings)
    model, processor = run.model_and_processor
    encoder = run.config.encoder
    assert (encoder.component, encoder.config["width"], run.parts.num_points) == ("pointbert", 24, 64)
    assert run.parts.special_tokens == {"<unk>", "<s>", "</s>", "<point_start>", "<dot>", "<point_end>"}
    assert processor.point_tokens == ["<point_start>", "<dot>", "<point_end>"]
    assert model.num_point_tokens() == 9
    with pytest.raises(CheckpointError, match=message):
        open_smoke({**settings, **change})


def test_data_are_checked_for_special_tokens_of_the_given_base(
    saved_model: Path, tmp_path: Path, open_smoke: OpenSmoke
) -> None:
    shutil.copytree(saved_model, tmp_path / "base")
    tokenizer = AutoTokenizer.from_pretrained(saved_model)
    tokenizer.add_special_tokens({"eos_token": "chair"})
    tokenizer.save_pretrained(tmp_path / "base")
    run = open_smoke({"base": str(tmp_path / "base")})
    with pytest.raises(RecordError, match="holds 'chair', a mark of the model's own"):
        run.check_data()
