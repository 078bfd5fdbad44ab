"""Cost of a post-training step of a large LLM on a GPU: time, MFU and memory.

LLaMA of the 7B shape (1B below 40 GB of free memory) with random bfloat16 weights and adapters of rank 16. PointBERT
with 513 tokens is frozen and runs in every step. A batch has four samples of 640 tokens. The step is the library's:
scores, terms and loss, clipping and AdamW. `make gpu` runs these cases.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import torch
from training import VOCABULARY, batch_of, make_step, model_of

from spa3d import create
from spa3d.config.settings import LoRASettings
from spa3d.inference.views import ViewEncoder, Views, built_in_views
from spa3d.model.adapters import attach
from spa3d.model.modeling import Spa3dModel

OBJECTIVES = ("sft", "spa", "dpo")
BATCHES = (4, 2, 1)
"""Samples per step, tried in this order until one fits into memory."""
WARM, RUNS = 2, 7
PEAK = {"H100": 989e12, "H200": 989e12, "GH200": 989e12, "B200": 2250e12, "A100": 312e12, "L40": 181e12, "4090": 165e12}
"""Dense bfloat16 operations per second, by a word in the GPU's name (vendor's data sheets, SXM)."""
ROOM = 40e9
"""Least bytes of free memory for the 7B shape."""


@dataclass(frozen=True)
class Shape:
    """Sizes of the LLM and of its inputs."""

    name: str
    hidden: int
    layers: int
    heads: int
    inner: int
    encoder: str = "pointbert-pointllm"
    points: int = 8192
    question: int = 40
    answer: int = 85


SEVEN = Shape("7B", 4096, 32, 32, 11008)
ONE = Shape("1B", 2048, 22, 32, 5632)
TOY = Shape("toy", 64, 2, 2, 128, encoder="pointbert-tiny", points=256, question=4, answer=6)


@dataclass
class Work:
    """Counts of operations and tokens in the LLM, updated by a forward hook."""

    shape: Shape
    parameters: int
    operations: float = field(default=0.0)
    tokens: int = field(default=0)

    def count(self, module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        """Add one forward of the decoder.

        Per parameter and token: two operations forward, and two backward for the activations; the weights have no
        gradient. Attention, per layer and token: 2 T H forward (half of it is masked), and twice that backward.
        """
        rows, length, _ = kwargs["inputs_embeds"].shape
        attention = 2 * length * self.shape.hidden * self.shape.layers
        backward = torch.is_grad_enabled()
        per_token = (4 if backward else 2) * self.parameters + (3 if backward else 1) * attention
        self.tokens += rows * length
        self.operations += rows * length * per_token


def cases(device: str, tiny: bool) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """One step per objective, all with the same model."""
    shape = TOY if tiny else choose_shape(device)
    model = build_model(shape, device)
    for name in OBJECTIVES:
        yield f"{name}, LLaMA {shape.name}, LoRA 16", lambda name=name: measure_step(name, model, shape, device)


def choose_shape(device: str) -> Shape:
    """Choose the 7B shape if memory allows, else the 1B shape."""
    return SEVEN if device == "cuda" and torch.cuda.mem_get_info()[0] >= ROOM else ONE


def build_model(shape: Shape, device: str) -> Spa3dModel:
    """Build a model with random weights, the LLM in bfloat16, the rest in float32."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        intermediate_size=shape.inner,
        vocab_size=VOCABULARY,
        max_position_embeddings=2048,
    )
    usual = torch.get_default_dtype()
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            llm = LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(usual)
    model = model_of(llm, create("encoder", shape.encoder), shape.points, trained=()).to(device)
    attach(model, {"projector", "llm"}, LoRASettings(rank=16), seed=0)
    return model.train()


def measure_step(name: str, model: Spa3dModel, shape: Shape, device: str) -> dict[str, Any]:
    """Measure an objective's step at the largest batch that fits into memory."""
    for batch in BATCHES:
        try:
            return measure_batch(name, model, shape, batch)
        except torch.OutOfMemoryError:
            if device != "cuda" or batch == BATCHES[-1]:
                raise
            torch.cuda.empty_cache()
    raise RuntimeError("no batch fits")


def measure_batch(name: str, model: Spa3dModel, shape: Shape, batch: int) -> dict[str, Any]:
    """Median time, MFU and peak memory of a step of `batch` samples."""
    cuda, objective = model.device.type == "cuda", create("objective", name)
    samples = batch_of(batch, model.num_point_tokens(), shape.question, shape.answer)
    step = make_step(model, objective, samples, make_views(model, shape, batch), bf16=True)
    work = Work(shape, sum(p.numel() for n, p in model.get_decoder().named_parameters() if is_dense(n)))
    hook = model.get_decoder().register_forward_pre_hook(work.count, with_kwargs=True)
    durations = []
    try:
        for run in range(WARM + RUNS):
            if run == WARM and cuda:
                torch.cuda.reset_peak_memory_stats()
            work.operations, work.tokens = 0.0, 0
            durations.append(seconds(step, cuda))
    finally:
        hook.remove()
    finite = all(bool(p.isfinite().all()) for p in model.parameters() if p.requires_grad)
    median = statistics.median(durations[WARM:])
    figures = {
        "status": "passed" if finite else "failed",
        "ms per step": round(1000 * median, 1),
        "batch": batch,
        "tokens": work.tokens,
        "tokens per s": round(work.tokens / median),
    }
    return figures | ({"MFU": share_of_peak(work.operations / median), **memory()} if cuda else {})


def make_views(model: Spa3dModel, shape: Shape, batch: int) -> Views:
    """Make views of random clouds, encoded in every step, with the noise ``mask``."""
    clouds = torch.rand(batch, shape.points, 6, generator=torch.Generator().manual_seed(2)) * 2 - 1
    prepared: Any = SimpleNamespace(
        get=lambda names: clouds[[int(name[1:]) for name in names]].numpy(),
        processor=SimpleNamespace(pad_id=0),
    )
    return built_in_views(ViewEncoder(model, prepared), noise=create("noise", "mask"))


def is_dense(name: str) -> bool:
    """Whether the parameter takes part in a product per token: no embedding, no adapter."""
    return "embed_tokens" not in name and "lora_" not in name


def seconds(step: Callable[[], Any], cuda: bool) -> float:
    """Seconds of a step, including its work on the GPU."""
    start = time.perf_counter()
    step()
    if cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start


def share_of_peak(rate: float) -> float | None:
    """Operations per second as a share of the GPU's peak; None for an unknown GPU."""
    name = torch.cuda.get_device_name()
    peak = next((value for word, value in PEAK.items() if word in name), None)
    return round(rate / peak, 3) if peak else None


def memory() -> dict[str, float]:
    """Peak memory of tensors in GiB."""
    return {"peak GiB": round(torch.cuda.max_memory_allocated() / 2**30, 2)}
