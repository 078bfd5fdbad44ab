"""A toy 3D LLM of point averages and a LLaMA of two layers, and golden PointLLM folders."""

from __future__ import annotations

import gc
import json
import os
import shutil
import zlib
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import Float
from safetensors.torch import save_file
from torch import Tensor, nn

from spa3d.runtime import torchvision_guard as torchvision_guard

torch.set_num_threads(1)
gc.collect()
gc.freeze()  # every stage of training collects garbage, and would look at all imported modules again


@pytest.fixture(scope="session")
def accelerator() -> torch.device:
    """Device of the tests marked `gpu`: a GPU, or ``SPA3D_TEST_DEVICE`` (``cpu`` to rehearse)."""
    name = os.environ.get("SPA3D_TEST_DEVICE", "cuda")
    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU")
    return torch.device(name)


@pytest.fixture(scope="session")
def toy_dataset() -> Any:
    """Eight records of 32 random points; the conversation names the sign of the mean of x."""
    from spa3d.contracts.dataset import CAPTION, Conversation, Dataset, Fact, Record, Round

    class Toy(Dataset):
        @property
        def splits(self) -> tuple[str, ...]:
            return ("train", "val", "test")

        def records(self, split: str) -> Sequence[Record]:
            return [self.record(f"{split}-{i}") for i in range(8)]

        def record(self, record_id: str) -> Record:
            split, number = record_id.split("-")
            index = int(number)
            side = "left" if index % 2 else "right"
            fact = Fact("side", "", "Which side?", side, ("left", "right", "top", "bottom"))
            return Record(
                id=record_id,
                object_id=record_id,
                group=record_id,
                load=lambda: self._cloud(split, index),
                conversations=(
                    Conversation(CAPTION, (Round("Describe it.", f"A thing number {index} on the {side}."),)),
                    Conversation(
                        "multi_round", (Round("Which side?", side), Round("Which number?", f"It is {index}."))
                    ),
                ),
                facts=(fact,),
                category=side,
            )

        def fingerprint(self) -> str:
            return "toy"

        def _cloud(self, split: str, index: int) -> np.ndarray:
            stream = np.random.Generator(np.random.Philox(key=index + 100 * len(split)))
            cloud = stream.random((32, 6), dtype=np.float32)
            cloud[:, 0] += -2 if index % 2 else 2
            return cloud

    return Toy()


@pytest.fixture
def toy(toy_dataset: Any) -> Callable[..., Any]:
    """Build (model, processor, clouds) of the toy world; the same weights for the same seed."""
    from spa3d.config.settings import LLMSettings
    from spa3d.contracts.encoder import Channel, Encoder
    from spa3d.contracts.projector import Projector
    from spa3d.inference.prepared_clouds import PreparedClouds
    from spa3d.model.configuration import Spa3dConfig
    from spa3d.model.llm import make_llm
    from spa3d.model.modeling import Spa3dModel
    from spa3d.model.processing import Spa3dProcessor
    from spa3d.model.special_tokens import point_tokens
    from spa3d.runtime.row_store import RowStore

    class Averages(Encoder):
        def __init__(self, **values: Any) -> None:
            super().__init__(**values)
            self.mix = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(4), nn.Dropout(0.5))

        inputs: tuple[Channel, ...] = ("xyz", "rgb")  # type: ignore[assignment]
        min_points = 4  # type: ignore[assignment]
        dim = 8  # type: ignore[assignment]

        def num_tokens(self, num_points: int) -> int:
            return 4

        def forward(self, points: Float[Tensor, "B N C"]) -> Float[Tensor, "B M D"]:
            return self.mix(points.unflatten(1, (4, -1)).mean(dim=2))

        def pool(self, points: Float[Tensor, "B N C"]) -> Float[Tensor, "B F"]:
            return self(points).mean(dim=1)

    class Straight(Projector):
        def __init__(self, *, dim: int, hidden: int, **values: Any) -> None:
            super().__init__(dim=dim, hidden=hidden, **values)
            self.layer = nn.Linear(dim, hidden)

        def num_tokens(self, num_tokens: int) -> int:
            return num_tokens

        def forward(self, tokens: Float[Tensor, "B M D"]) -> Float[Tensor, "B M2 H"]:
            return self.layer(tokens)

    def build(seed: int = 0) -> Any:
        torch.manual_seed(seed)
        settings = LLMSettings(hidden_size=16, layers=2, heads=2, intermediate_size=32, vocab_size=320)
        texts = [
            turn.answer
            for r in toy_dataset.records("train")
            for conversation in r.conversations
            for turn in conversation.rounds
        ]
        llm, tokenizer, ids = make_llm(settings, lambda: iter(texts))
        encoder = Averages()
        config = Spa3dConfig(text_config=llm.config, num_points=32, point_ids=ids)
        model = Spa3dModel(config, encoder, Straight(dim=8, hidden=16), llm)
        processor = Spa3dProcessor(
            tokenizer,
            num_point_tokens=4,
            points={"count": 32, "method": "random", "normalize": True, "missing_color": 0.0},
            point_tokens=point_tokens(settings),
        )
        return model.eval(), processor, PreparedClouds(toy_dataset, processor, RowStore(None, (32, 6)))

    return build


GOLDEN = Path(__file__).parent / "golden" / "pointllm"
BACKBONES = {
    "tiny": {"trans_dim": 24, "depth": 2, "num_heads": 3, "group_size": 4, "num_group": 8, "encoder_dims": 32},
    "flat": {"trans_dim": 384, "depth": 1, "num_heads": 6, "group_size": 4, "num_group": 512, "encoder_dims": 16},
}
"""Encoders of the golden models: the tiny one, and one of the real width for features that are given."""
HIDDEN = {"tiny": [32, 48], "flat": [1024, 2048]}


def golden_tensor(key: str, shape: Sequence[int]) -> Tensor:
    """The weight `key` of the golden models: a function of its name, with the scale of its kind."""
    if key.endswith("num_batches_tracked"):
        return torch.zeros(tuple(shape), dtype=torch.int64)
    if key.endswith("inv_freq"):
        return 1.0 / (10000 ** (torch.arange(0, 2 * shape[0], 2).float() / (2 * shape[0])))
    values = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode()))).standard_normal(shape)
    if key.endswith("running_var"):
        values = 1.0 + 0.1 * np.abs(values)
    elif key.endswith("running_mean"):
        values = 0.05 * values
    elif key.endswith(("cls_token", "cls_pos")):
        values = 0.1 * values
    elif "embed_tokens" in key:
        values = 0.2 * values
    elif len(shape) == 1:
        values = (1.0 if key.endswith("weight") else 0.0) + 0.05 * values
    else:
        values = values / np.sqrt(np.prod(shape[1:])) * (2.0 if key == "lm_head.weight" else 1.0)
    return torch.from_numpy(values.astype(np.float32))


def golden_shapes(kind: str) -> dict[str, Sequence[int]]:
    """Names and shapes of the weights of the golden model `kind`."""
    from spa3d import create
    from spa3d.config.pointllm_parts import FIELDS

    shapes: dict[str, Sequence[int]] = json.loads((GOLDEN / "shapes.json").read_text())["tiny"]
    if kind == "tiny":
        return shapes
    shapes = {key: shape for key, shape in shapes.items() if ".point_" not in key}
    values = {FIELDS[key]: value for key, value in BACKBONES[kind].items()}
    encoder = create("encoder", "pointbert-pointllm", **values)
    shapes |= {f"model.point_backbone.{key}": tuple(value.shape) for key, value in encoder.state_dict().items()}
    widths = [384, *HIDDEN[kind], 64]
    for number, (inside, outside) in enumerate(pairwise(widths)):
        shapes[f"model.point_proj.{2 * number}.weight"] = (outside, inside)
        shapes[f"model.point_proj.{2 * number}.bias"] = (outside,)
    return shapes


@pytest.fixture(scope="session")
def make_pointllm() -> Callable[..., dict[str, Tensor]]:
    """Write a PointLLM folder of golden weights; `values` override its config.json."""

    def write(
        folder: Path,
        kind: str = "tiny",
        *,
        shards: int = 2,
        binary: bool = False,
        dtype: torch.dtype = torch.float32,
        **values: Any,
    ) -> dict[str, Tensor]:
        folder.mkdir(parents=True, exist_ok=True)
        config = json.loads((GOLDEN / "config.json").read_text()) | {"point_backbone_config_name": f"{kind}_gold"}
        (folder / "config.json").write_text(json.dumps(config | values))
        hidden = {"projection_hidden_layer": 2, "projection_hidden_dim": HIDDEN[kind]}
        (folder / f"{kind}_gold.yaml").write_text(json.dumps({"model": BACKBONES[kind] | hidden, "npoints": 64}))
        shutil.copyfile(GOLDEN / "tokenizer.model", folder / "tokenizer.model")
        (folder / "tokenizer_config.json").write_text('{"model_max_length": 2048, "tokenizer_class": "LlamaTokenizer"}')
        state = {key: golden_tensor(key, shape) for key, shape in golden_shapes(kind).items()}
        narrow = {key: each if each.dtype == torch.int64 else each.to(dtype) for key, each in state.items()}
        state |= {key: each for key, each in narrow.items() if not key.endswith("inv_freq")}
        stem, end = ("pytorch_model", "bin") if binary else ("model", "safetensors")
        files: dict[str, str] = {}
        for shard in range(shards):
            part = {key: state[key] for key in [*state][shard::shards]}
            name = f"{stem}-{shard + 1:05d}-of-{shards:05d}.{end}"
            torch.save(part, folder / name) if binary else save_file(part, folder / name, metadata={"format": "pt"})
            files |= dict.fromkeys(part, name)
        (folder / f"{stem}.{end}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": files}))
        return state

    return write
