"""A toy 3D LLM: an encoder that averages groups of points, and a LLaMA of two layers."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import Float
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
