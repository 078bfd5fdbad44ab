"""Loading of encoder weights: every published layout, and only the encoder that fits."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import spa3d
from spa3d.checkpoints.encoder_weights import find_fitting, load_weights
from spa3d.contracts.encoder import Encoder
from spa3d.errors import CheckpointError
from spa3d.registry.registry import Registry, load_registry

GOLDEN = Path(__file__).parents[2] / "golden"
SMALL = {"width": 8, "strides": (1, 2, 2, 1), "head": (16,)}

State = dict[str, Tensor]


@pytest.fixture(autouse=True)
def _what_ships(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPA3D_PLUGINS", "")
    monkeypatch.delenv("SPA3D_REGISTRY", raising=False)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry(environ={"SPA3D_PLUGINS": ""})


def make_encoder(**changes: Any) -> Encoder:
    """An encoder whose parameters are all different from those of a fresh one."""
    encoder: Encoder = spa3d.create("encoder", "pointnext", **{**SMALL, **changes})
    stream = torch.Generator().manual_seed(7)
    for value in encoder.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=stream) + 0.5)
        else:
            value.fill_(11)
    return encoder


def add_prefix(prefix: str, state: Mapping[str, Tensor]) -> State:
    return {prefix + name: value for name, value in state.items()}


def ulip(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Checkpoint of ULIP's training: the whole DDP model, the optimizer, the arguments."""
    others = {"module.logit_scale": torch.ones(()), "module.pc_projection": torch.ones(16, 4)}
    text = {
        "module.visual.blocks.0.attn.qkv.weight": torch.ones(6, 2),
        "module.token_embedding.weight": torch.ones(9, 2),
    }
    return {
        "epoch": 249,
        "state_dict": {**others, **text, **add_prefix("module.point_encoder.", state)},
        "optimizer": {"state": {}, "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.98), "params": [0]}]},
        "scaler": {"scale": 65536.0, "growth_tracker": 3},
        "best_acc1": 60.4,
        "args": argparse.Namespace(model="ULIP_PN_NEXT", npoints=8192, distributed=True, gpu=0, output_dir="./outputs"),
    }


def pointllm(state: Mapping[str, Tensor]) -> State:
    """As PointLLM is on the hub: one LLaMA with everything below ``model.``, in half precision."""
    llama = {"model.embed_tokens.weight": torch.ones(9, 4), "model.layers.0.mlp.up_proj.weight": torch.ones(8, 4)}
    others = {
        "model.point_proj.0.weight": torch.ones(4, 4),
        "model.norm.weight": torch.ones(4),
        "lm_head.weight": torch.ones(9, 4),
    }
    return {**llama, **add_prefix("model.point_backbone.", state), **others}


def spa3d_model(state: Mapping[str, Tensor]) -> State:
    others = {"projector.layers.0.weight": torch.ones(4, 4), "language_model.model.norm.weight": torch.ones(4)}
    return {**others, **add_prefix("encoder.", state)}


def save_torch(path: Path, tensors: Any) -> Path:
    torch.save(tensors, path)
    return path


def save_safe(path: Path, tensors: State) -> Path:
    path.parent.mkdir(exist_ok=True)
    save_file(tensors, path)
    return path


def save_shards(folder: Path, tensors: State, *, kind: str) -> Path:
    """Half of the tensors in each of two files, with the index that says so."""
    folder.mkdir()
    names = list(tensors)
    half = {"model-1": names[: len(names) // 2], "model-2": names[len(names) // 2 :]}
    for stem, inside in half.items():
        part = {name: tensors[name] for name in inside}
        save_safe(folder / f"{stem}.safetensors", part) if kind == "safetensors" else save_torch(
            folder / f"{stem}.bin", part
        )
    places = {name: f"{stem}.{kind}" for stem, inside in half.items() for name in inside}
    index = "model.safetensors.index.json" if kind == "safetensors" else "pytorch_model.bin.index.json"
    (folder / index).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))
    return folder


def drop_wrapper(state: Mapping[str, Tensor]) -> dict[str, Any]:
    return {"state_dict": add_prefix("point_encoder.", state)}


WAYS: dict[str, tuple[str, Callable[[Path, State], Path]]] = {
    "ulip": ("ULIP", lambda folder, state: save_torch(folder / "checkpoint_pointnext.pt", ulip(state))),
    "ulip, one process": ("ULIP", lambda folder, state: save_torch(folder / "one.pt", drop_wrapper(state))),
    "pointllm .bin": ("PointLLM", lambda folder, state: save_torch(folder / "pytorch_model.bin", pointllm(state))),
    "pointllm safetensors": (
        "PointLLM",
        lambda folder, state: save_safe(folder / "model.safetensors", pointllm(state)),
    ),
    "pointllm shards": (
        "PointLLM",
        lambda folder, state: save_shards(folder / "hub", pointllm(state), kind="safetensors"),
    ),
    "pointllm .bin shards": (
        "PointLLM",
        lambda folder, state: save_shards(folder / "hub", pointllm(state), kind="bin"),
    ),
    "spa3d file": ("spa3d", lambda folder, state: save_safe(folder / "model.safetensors", spa3d_model(state))),
    "spa3d run": (
        "spa3d",
        lambda folder, state: save_safe(folder / "model" / "model.safetensors", spa3d_model(state)).parents[1],
    ),
    "bare": ("bare", lambda folder, state: save_torch(folder / "pointnext.pth", state)),
    "bare safetensors": ("bare", lambda folder, state: save_safe(folder / "pointnext.safetensors", state)),
    "bare, distributed": ("bare", lambda folder, state: save_torch(folder / "ddp.pt", add_prefix("module.", state))),
    "encoder alone": ("bare", lambda folder, state: save_safe(folder / "a.safetensors", add_prefix("encoder.", state))),
}
"""Reported layout, and how such a file is written."""


@pytest.mark.parametrize("way", WAYS)
def test_every_layout_gives_the_same_weights_and_features(tmp_path: Path, way: str) -> None:
    layout, write = WAYS[way]
    source, target = make_encoder().eval(), spa3d.create("encoder", "pointnext", **SMALL).eval()
    path = write(tmp_path, dict(source.state_dict()))
    loaded = spa3d.load_weights(target, path)
    assert (loaded.source, loaded.layout, loaded.tensors) == (path, layout, len(source.state_dict()))
    assert all(file.is_file() for file in loaded.files)
    assert all(value.equal(source.state_dict()[name]) for name, value in target.state_dict().items())
    points = torch.rand(2, 32, source.channels, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert target(points).equal(source(points))


def test_a_shard_without_a_tensor_of_the_encoder_need_not_be_there(tmp_path: Path) -> None:
    source = make_encoder()
    tensors = {
        **add_prefix("model.layers.", source.state_dict()),
        **add_prefix("model.point_backbone.", source.state_dict()),
    }
    folder = save_shards(tmp_path / "hub", tensors, kind="safetensors")
    (folder / "model-1.safetensors").unlink()
    assert load_weights(make_encoder(), folder).files == (folder / "model-2.safetensors",)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_another_precision_becomes_the_encoders_own_exactly(tmp_path: Path, dtype: torch.dtype) -> None:
    source, target = make_encoder(), spa3d.create("encoder", "pointnext", **SMALL)
    tensors = {
        name: value.to(dtype) if value.is_floating_point() else value for name, value in source.state_dict().items()
    }
    load_weights(target, save_torch(tmp_path / "half.pt", ulip(tensors)))
    for name, value in target.state_dict().items():
        assert value.dtype == source.state_dict()[name].dtype
        assert value.equal(tensors[name].to(value.dtype))


def test_only_the_counts_of_normalizations_may_be_missing(tmp_path: Path) -> None:
    tensors = {
        name: value for name, value in make_encoder().state_dict().items() if not name.endswith("num_batches_tracked")
    }
    target = spa3d.create("encoder", "pointnext", **SMALL)
    assert load_weights(target, save_torch(tmp_path / "old.pt", ulip(tensors))).tensors == len(tensors)
    assert all(target.state_dict()[name].equal(value) for name, value in tensors.items())
    tensors.pop(next(name for name in tensors if name.endswith("running_mean")))
    with pytest.raises(CheckpointError, match=r"1 missing \(.*running_mean\)"):
        load_weights(target, save_torch(tmp_path / "older.pt", ulip(tensors)))


def test_load_weights_names_differences_and_the_preset_that_fits(tmp_path: Path) -> None:
    tiny, encoder = spa3d.create("encoder", "pointnext-tiny"), spa3d.create("encoder", "pointnext", inputs=("xyz",))
    path = save_torch(tmp_path / "tiny.pt", ulip(tiny.state_dict()))
    with pytest.raises(CheckpointError) as caught:
        load_weights(encoder, path)
    message = str(caught.value)
    missing = [name for name in encoder.state_dict() if name not in tiny.state_dict() and not name.endswith("tracked")]
    start = (
        f"{path}: its weights (ULIP layout) are not those of encoder PointNeXt: {len(missing)} missing ({missing[0]}, "
    )
    assert message.startswith(start)
    assert f"(encoder.encoder.0.0.convs.0.0.weight: (32, {tiny.channels}, 1) there, (32, 3, 1) here, " in message
    assert message.endswith("They fit --encoder pointnext-tiny, with the settings it comes with")
    assert len(message) < 1000


def test_load_weights_loads_all_or_nothing(tmp_path: Path) -> None:
    tensors = dict(make_encoder().state_dict())
    tensors.pop("prediction.head.0.0.weight")
    tensors["prediction.more"] = torch.ones(1)
    target = spa3d.create("encoder", "pointnext", **SMALL)
    before = {name: value.clone() for name, value in target.state_dict().items()}
    with pytest.raises(
        CheckpointError, match=r"1 missing \(prediction.head.0.0.weight\); 1 unexpected \(prediction.more"
    ):
        load_weights(target, save_torch(tmp_path / "changed.pt", ulip(tensors)))
    assert all(value.equal(before[name]) for name, value in target.state_dict().items())


def test_load_weights_says_that_nothing_fits(tmp_path: Path) -> None:
    path = save_torch(tmp_path / "small.pt", ulip(make_encoder().state_dict()))
    with pytest.raises(CheckpointError, match=r"of encoder mine: .*No installed encoder or preset has these weights"):
        load_weights(make_encoder(width=16), path, name="mine")


def test_find_fitting_resolves_names_under_the_run_preset(registry: Registry) -> None:
    shapes = {
        name: tuple(value.shape) for name, value in spa3d.create("encoder", "pointnext-tiny").state_dict().items()
    }
    assert find_fitting(shapes, registry) == ["pointnext-tiny"]
    full = {name: tuple(value.shape) for name, value in spa3d.create("encoder", "pointnext").state_dict().items()}
    assert find_fitting(full, registry, run_preset="embedded") == ["pointnext-ulip"]


@pytest.mark.parametrize(
    "keys", sorted(GOLDEN.glob("*.keys.json")), ids=lambda path: path.name.removesuffix(".keys.json")
)
def test_published_weights_fit_their_preset_and_no_other(registry: Registry, keys: Path) -> None:
    shapes = {name: tuple(shape) for name, shape, _ in json.loads(keys.read_text())}
    assert find_fitting(shapes, registry) == [keys.name.removesuffix(".keys.json")]


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (
            {"model.layers.0.a.weight": 1, "model.layers.1.a.weight": 1, "lm_head.weight": 1},
            r"holds no encoder, only model\.layers \(2\), lm_head \(1\); possible: a ULIP or PointLLM file",
        ),
        (
            {"language_model.model.norm.weight": 1, "vision_tower.a.b.weight": 1},
            "holds no encoder, only language_model",
        ),
        ({"module.visual.a": 1, "module.text": 1}, r"holds no encoder, only module\.visual \(1\), module \(1\)"),
    ],
)
def test_a_file_without_an_encoder(tmp_path: Path, tensors: dict[str, int], message: str) -> None:
    path = save_torch(tmp_path / "llama.bin", {name: torch.ones(size) for name, size in tensors.items()})
    with pytest.raises(CheckpointError, match=message):
        load_weights(make_encoder(), path)


def test_a_file_with_nothing_in_it(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no encoder, only nothing"):
        load_weights(make_encoder(), save_safe(tmp_path / "empty.safetensors", {}))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    tensors = {name: tensor.clone() for name, tensor in make_encoder().state_dict().items()}
    tensors["prediction.head.0.0.weight"][3, 2] = value
    with pytest.raises(
        CheckpointError, match=r"NaN or infinite values in 1 of its \d+ tensors \(prediction.head.0.0.weight\)"
    ):
        load_weights(make_encoder(), save_torch(tmp_path / "broken.pt", ulip(tensors)))


def test_numbers_too_large_for_the_encoder_are_refused(tmp_path: Path) -> None:
    tensors = {name: tensor.clone() for name, tensor in make_encoder().state_dict().items()}
    tensors["prediction.head.0.0.weight"] = tensors["prediction.head.0.0.weight"].double() * 1e300
    with pytest.raises(CheckpointError, match="NaN or infinite"):
        load_weights(make_encoder(), save_torch(tmp_path / "large.pt", ulip(tensors)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda weight: weight.to_sparse(), r"is no plain tensor of numbers \(sparse"),
        (lambda weight: weight.to(torch.complex64), r"is no plain tensor of numbers \(complex64\)"),
        (lambda weight: weight.to(torch.float8_e4m3fn), r"is no plain tensor of numbers \(float8_e4m3fn\)"),
        (lambda weight: torch.empty_like(weight, device="meta"), r"is no plain tensor of numbers \(sparse"),
        (lambda weight: torch.quantize_per_tensor(weight, 0.1, 0, torch.qint8), r"numbers \(qint8\)"),
        (lambda weight: weight.long(), r"1 of another kind \(.*: torch.int64 there, torch.float32 here\)"),
        (lambda weight: weight > 0, r"1 of another kind \(.*: torch.bool there"),
        (lambda weight: torch.zeros(1).expand(10**12), r"1 of another shape \(.*: \(1000000000000,\) there"),
    ],
    ids=["sparse", "complex", "eight bits", "meta", "quantized", "integers", "booleans", "endless"],
)
@pytest.mark.filterwarnings("ignore:.*quantiz")
def test_tensors_that_no_parameter_is_made_of(tmp_path: Path, make: Callable[[Tensor], Tensor], message: str) -> None:
    tensors = dict(make_encoder().state_dict())
    tensors["prediction.head.0.0.weight"] = make(tensors["prediction.head.0.0.weight"])
    with pytest.raises(CheckpointError, match=message):
        load_weights(make_encoder(), save_torch(tmp_path / "odd.pt", ulip(tensors)))


def test_names_in_a_message_are_short_and_on_one_line(tmp_path: Path) -> None:
    tensors = {**make_encoder().state_dict(), "a\nb\x1b[31m": torch.ones(1), "c" * 10_000: torch.ones(1)}
    with pytest.raises(CheckpointError, match="2 unexpected") as caught:
        load_weights(make_encoder(), save_torch(tmp_path / "long.pt", ulip(tensors)))
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 1000
