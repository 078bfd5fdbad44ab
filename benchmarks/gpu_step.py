"""What a post-training step of a large LLM takes on a GPU: time, share of the peak arithmetic (MFU), memory.

LLaMA with random bfloat16 weights of the 7B shape, of a 1B shape below 40 GB of free memory, adapters of rank 16,
PointBERT with its 513 tokens, frozen and run in every step, four samples of 640 tokens. The step is the library's own:
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
from training import VOCABULARY, batch_of, model_of, our_step

from spa3d import create
from spa3d.config.settings import LoRASettings
from spa3d.inference.views import ViewEncoder, Views, built_in_views
from spa3d.model.adapters import attach
from spa3d.model.modeling import Spa3dModel

OBJECTIVES = ("sft", "spa", "dpo")
BATCHES = (4, 2, 1)
"""Samples per step; the next where memory runs out."""
WARM, RUNS = 2, 7
PEAK = {"H100": 989e12, "H200": 989e12, "GH200": 989e12, "B200": 2250e12, "A100": 312e12, "L40": 181e12, "4090": 165e12}
"""Dense bfloat16 operations per second, by a word of the GPU's name (vendor's data sheets, SXM)."""
ROOM = 40e9
"""Bytes of free memory from which on the 7B shape is taken."""


@dataclass(frozen=True)
class Shape:
    """Sizes of the LLM and of what it reads."""

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
    """Token positions that pass through the LLM, with gradient and without, counted by a hook."""

    shape: Shape
    parameters: int
    operations: float = field(default=0.0)
    tokens: int = field(default=0)

    def count(self, module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        """Add one forward of the decoder.

        Two operations per parameter and token forward, and two more back to the activations; the weights themselves
        have no gradient. Attention: 2 T H per layer and token forward (half of it is masked), and twice that back.
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
    """The largest LLM that fits."""
    return SEVEN if device == "cuda" and torch.cuda.mem_get_info()[0] >= ROOM else ONE


def build_model(shape: Shape, device: str) -> Spa3dModel:
    """Random weights, made on the device: bfloat16 for the LLM, float32 for encoder, projector and adapters."""
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
    model = model_of(llm, create("encoder", shape.encoder), shape.points).to(device)
    attach(model, {"projector", "llm"}, LoRASettings(rank=16), seed=0)
    return model.train()


def measure_step(name: str, model: Spa3dModel, shape: Shape, device: str) -> dict[str, Any]:
    """The figures of an objective's step, at the largest batch that fits."""
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
    step = our_step(model, objective, samples, make_views(model, shape, batch), bf16=True)
    work = Work(shape, sum(p.numel() for n, p in model.get_decoder().named_parameters() if is_dense(n)))
    hook = model.get_decoder().register_forward_pre_hook(work.count, with_kwargs=True)
    taken = []
    try:
        for run in range(WARM + RUNS):
            if run == WARM and cuda:
                torch.cuda.reset_peak_memory_stats()
            work.operations, work.tokens = 0.0, 0
            taken.append(seconds(step, cuda))
    finally:
        hook.remove()
    finite = all(bool(p.isfinite().all()) for p in model.parameters() if p.requires_grad)
    median = statistics.median(taken[WARM:])
    figures = {
        "status": "passed" if finite else "failed",
        "ms per step": round(1000 * median, 1),
        "batch": batch,
        "tokens": work.tokens,
        "tokens per s": round(work.tokens / median),
    }
    return figures | ({"MFU": share_of_peak(work.operations / median), **memory()} if cuda else {})


def make_views(model: Spa3dModel, shape: Shape, batch: int) -> Views:
    """Random clouds, encoded in every step; the noise is ``mask``."""
    clouds = torch.rand(batch, shape.points, 6, generator=torch.Generator().manual_seed(2)) * 2 - 1
    given: Any = SimpleNamespace(
        get=lambda names: clouds[[int(name[1:]) for name in names]].numpy(),
        processor=SimpleNamespace(tokenizer=SimpleNamespace(pad_token_id=0)),
    )
    return built_in_views(ViewEncoder(model, given), noise=create("noise", "mask"))


def is_dense(name: str) -> bool:
    """Whether every token is multiplied with the parameter: neither an embedding nor part of an adapter."""
    return "embed_tokens" not in name and "lora_" not in name


def seconds(step: Callable[[], Any], cuda: bool) -> float:
    """Time of a step, to the end of what it has started on the GPU."""
    start = time.perf_counter()
    step()
    if cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start


def share_of_peak(rate: float) -> float | None:
    """Operations per second as a share of what the GPU can do; None where that is not known."""
    name = torch.cuda.get_device_name()
    peak = next((value for word, value in PEAK.items() if word in name), None)
    return round(rate / peak, 3) if peak else None


def memory() -> dict[str, float]:
    """The most that tensors have taken, GiB."""
    return {"peak GiB": round(torch.cuda.max_memory_allocated() / 2**30, 2)}
