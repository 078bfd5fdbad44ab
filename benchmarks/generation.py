"""Tokens per second of a 3D LLM's ``generate``, beside those of its bare LLM.

    .venv/bin/python benchmarks/generation.py [--pairs 9]

Prints medians of interleaved pairs, process CPU seconds. Both write the same number of tokens, greedily and with a
cache; the 3D LLM also projects its point tokens.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import torch
from training import POINT_IDS, PREFIX, NoEncoder, llama, medians, model_of, text

WRITTEN = 64
"""Tokens per answer: the most that the predictor writes."""
AIM = 0.9
SIZES = ((96, 3, 32), (256, 4, 8), (512, 8, 4))
"""Width and layers of the LLM, and prompts per batch."""


def make_pair(hidden: int, layers: int, batch: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Make the generation of the 3D LLM, and that of its bare LLM on prompts as long."""
    llm = llama(hidden, layers).eval()
    model: Any = model_of(llm, NoEncoder(), 1).eval()
    stream = torch.Generator().manual_seed(1)
    ids = torch.tensor([text(PREFIX, 30, 0, stream).ids for _ in range(batch)])
    words = torch.where(ids == POINT_IDS[1], torch.randint(10, 1000, ids.shape, generator=stream), ids)
    points = torch.randn(batch, PREFIX, NoEncoder.dim, generator=stream)
    settings: dict[str, Any] = {"max_new_tokens": WRITTEN, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}

    def ours() -> None:
        model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), point_tokens=points, **settings)

    def bare() -> None:
        llm.generate(input_ids=words, attention_mask=torch.ones_like(words), **settings)

    return ours, bare


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=9, help="interleaved pairs per figure")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for hidden, layers, batch in SIZES:
        ours, bare = medians(*make_pair(hidden, layers, batch), options.pairs)
        count = batch * WRITTEN
        what = f"LLaMA {hidden} x {layers}, {batch} prompts of {PREFIX + 32} tokens"
        speeds = f"{count / ours:.0f} tokens per s, the bare LLM {count / bare:.0f}"
        print(f"{what}: {speeds}, {bare / ours:.2f} (at least {AIM})")


if __name__ == "__main__":
    main()
