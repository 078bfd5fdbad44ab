"""Cost of a post-training step: objectives and noise against SFT, our steps against TRL's.

    .venv/bin/pip install -c constraints.txt trl==1.16.0
    .venv/bin/python benchmarks/training.py [--pairs 9]

Prints medians of interleaved pairs: process CPU seconds per step (forward, backward, clipping, AdamW). Peak memory is
that of a separate process that runs three such steps. Without TRL its comparison is skipped.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from spa3d import create, ops
from spa3d.contracts.objective import Objective, Scores
from spa3d.inference.samples import Sample
from spa3d.inference.scoring import score
from spa3d.inference.views import View, ViewEncoder, Views, ViewTokens, built_in_views
from spa3d.model.configuration import Spa3dConfig
from spa3d.model.modeling import Spa3dModel
from spa3d.model.tokens import IGNORED, Tokens
from spa3d.runtime.rng import Draws
from spa3d.runtime.row_store import RowStore
from spa3d.training.loss import count_units, total
from spa3d.training.reference import LiveReference, PrecomputedReference

Step = Callable[[], Any]
VOCABULARY, PREFIX, ANSWER, BATCH = 32003, 513, 40, 4
"""Sizes for the comparison with TRL: PointLLM's vocabulary and point tokens."""
POINT_IDS = (VOCABULARY - 3, VOCABULARY - 2, VOCABULARY - 1)
AIMS = {"spa": 2.25, "simpo": 2.25, "dpo": 2.25}
AGAINST_TRL = {"sft": ("sft", 0.25), "spa": ("dpo", 0.2), "dpo": ("dpo", 0.25)}


def llama(hidden: int, layers: int) -> Any:
    """Make a LLaMA with random weights from a fixed seed."""
    from transformers import LlamaConfig, LlamaForCausalLM  # after spa3d has handled a broken torchvision

    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            hidden_size=hidden,
            num_hidden_layers=layers,
            num_attention_heads=hidden // 32,
            intermediate_size=3 * hidden,
            vocab_size=VOCABULARY,
            max_position_embeddings=1024,
        )
    )


def model_of(llm: Any, encoder: Any, points: int, trained: Sequence[str] = ("projector", "llm")) -> Spa3dModel:
    """Make a model of an encoder, one linear layer and the LLM; parts that train become float32."""
    config = Spa3dConfig(text_config=llm.config, encoder={}, projector={}, num_points=points, point_ids=POINT_IDS)
    projector = create("projector", "linear", dim=encoder.dim, hidden=llm.config.hidden_size)
    model = Spa3dModel(config, encoder, projector, llm)
    model.set_trained(*trained)
    return model.train()


def text(point_tokens: int, question: int, answer: int, stream: torch.Generator) -> Tokens:
    """Make random ids of a prompt (point block and question) and its answer."""
    start, patch, end = POINT_IDS
    words = torch.randint(10, VOCABULARY - 10, (question + answer,), generator=stream).tolist()
    block = [start, *[patch] * point_tokens, end] if point_tokens else []
    ids = [*block, *words]
    silent = len(ids) - answer
    return Tokens(ids, [IGNORED] * silent + ids[silent:], [-1] * silent + [0] * answer)


def batch_of(size: int, point_tokens: int, question: int, answer: int) -> list[Sample]:
    """Make samples whose chosen and rejected texts have the same length."""
    stream = torch.Generator().manual_seed(1)
    samples = []
    for i in range(size):
        texts = {(name, "cloud"): text(point_tokens, question, answer, stream) for name in ("chosen", "rejected")}
        samples.append(Sample(f"r{i}", 0, texts))
    return samples


def make_step(
    model: Spa3dModel, objective: Objective, batch: Sequence[Sample], views: Any, *, bf16: bool = False
) -> Step:
    """Make one optimizer step of `objective`; the reference is scored before, as in a run.

    With `bf16` the model's forward runs under bfloat16 autocast, as in a run.
    """
    optimizer = torch.optim.AdamW([value for value in model.parameters() if value.requires_grad], lr=1e-6)
    policy = [need for need in objective.needs if need.model == "policy"]
    reference_needs = [need for need in objective.needs if need.model == "reference"]
    counts = count_units([batch], objective.needs, views)
    reference = None
    if reference_needs:
        reference = PrecomputedReference(RowStore(Path(tempfile.mkdtemp()), (1024,)), views)
        live = LiveReference(views, bf16=bf16)
        reference.fill(batch, reference_needs, live, batch_size=len(batch), advance=lambda _: None)

    def forward(**inputs: Any) -> Any:
        with torch.autocast(model.device.type, torch.bfloat16, enabled=bf16):
            return model(**inputs)

    def step() -> None:
        scores = score(forward, policy, batch, views).scores
        if reference is not None:
            scores = Scores({**scores, **reference.scores(reference_needs, batch)})
        total(objective.terms(scores), counts).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


UNREAD = SimpleNamespace(processor=SimpleNamespace(pad_id=0))
"""Placeholder for prepared clouds where none is read."""


class Prefix(View):
    """Prefix embeddings instead of an encoder's tokens, since neither side has an encoder."""

    def __init__(self, name: str, hidden: int) -> None:
        self.name, self.hidden = name, hidden

    def key(self, record_id: str, epoch: int) -> str:
        return f"{record_id}|{self.name}"

    def tokens(self, batch: Sequence[tuple[str, int]]) -> ViewTokens:
        stream = torch.Generator().manual_seed(len(self.name))
        return ViewTokens(torch.randn(len(batch), PREFIX, self.hidden, generator=stream))


def prefixes(model: Spa3dModel, hidden: int) -> Views:
    encoder = ViewEncoder(model, UNREAD)  # type: ignore[arg-type]
    return Views(encoder, [Prefix("clean", hidden), Prefix("noised", hidden)])


class NoEncoder(torch.nn.Module):
    """Placeholder for an encoder, with the width of its tokens only."""

    dim, inputs, min_points = 256, ("xyz",), 1

    def num_tokens(self, points: int) -> int:
        return PREFIX


def make_compared_step(name: str) -> Step:
    """Make our step at the sizes of the comparison."""
    model = model_of(llama(256, 4), NoEncoder(), 1)
    return make_step(model, create("objective", name), batch_of(BATCH, PREFIX, 0, ANSWER), prefixes(model, 256))


def trl_step(name: str) -> Step:
    """Make TRL's step with its Trainer, collator and loss; only batch and length are set."""
    from datasets import Dataset
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

    words = {f"w{i}": i for i in range(VOCABULARY - 2)} | {"<pad>": VOCABULARY - 2, "</s>": VOCABULARY - 1}
    raw = Tokenizer(models.WordLevel(words, unk_token="w0"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", eos_token="</s>")
    settings: dict[str, Any] = {
        "output_dir": tempfile.mkdtemp(),
        "per_device_train_batch_size": BATCH,
        "max_length": 1024,
        "use_cpu": True,
        "report_to": [],
        "bf16": False,
        "gradient_checkpointing": False,
        "disable_tqdm": True,
    }
    stream = torch.Generator().manual_seed(1)

    def ids(length: int) -> list[int]:
        return [int(i) for i in torch.randint(10, VOCABULARY - 10, (length,), generator=stream)]

    if name == "dpo":
        rows = [{"prompt": "w1", "chosen": "w2", "rejected": "w3"}] * BATCH
        trainer: Any = DPOTrainer(
            llama(256, 4),
            ref_model=llama(256, 4),
            args=DPOConfig(**settings),
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
        )
        examples = [
            {"prompt_ids": ids(PREFIX + 2), "chosen_ids": ids(ANSWER), "rejected_ids": ids(ANSWER)}
            for _ in range(BATCH)
        ]
    else:
        rows = [{"prompt": "w1", "completion": "w2"}] * BATCH
        trainer = SFTTrainer(
            llama(256, 4), args=SFTConfig(**settings), train_dataset=Dataset.from_list(rows), processing_class=tokenizer
        )
        examples = [
            {"input_ids": ids(PREFIX + 2 + ANSWER), "completion_mask": [0] * (PREFIX + 2) + [1] * ANSWER}
            for _ in range(BATCH)
        ]
    inputs = trainer.data_collator(examples)
    trainer.create_optimizer()
    trainer.current_gradient_accumulation_steps = 1

    def step() -> None:
        trainer.training_step(trainer.model, dict(inputs))
        torch.nn.utils.clip_grad_norm_(trainer.model.parameters(), 1.0)
        trainer.optimizer.step()
        trainer.optimizer.zero_grad()

    return step


def medians(first: Step, second: Step, pairs: int) -> tuple[float, float]:
    """Median CPU seconds of two steps, interleaved, after a warm-up of each."""
    durations: list[list[float]] = [[], []]
    for run in range(pairs + 1):
        for times, step in zip(durations, (first, second), strict=True):
            start = time.process_time()
            step()
            if run:
                times.append(time.process_time() - start)
    return statistics.median(durations[0]), statistics.median(durations[1])


def peak(contestant: str) -> float:
    """Peak memory in GB of three steps of `contestant`, e.g. ``ours-spa`` or ``trl-dpo``."""
    command = [sys.executable, __file__, "--steps-of", contestant]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(out.split()[-1])


def peak_of_this_process() -> float:
    """Peak memory in GB, not from getrusage: a child process inherits its parent's value there."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 2**20


def make_embedded(cache: bool, folder: Path) -> tuple[Spa3dModel, Views, list[Sample]]:
    """Make a model and a batch of the embedded preset's size.

    32 clouds of 1,024 points, 32 point tokens, LLaMA 96 x 3.
    """
    model = model_of(llama(96, 3), create("encoder", "pointnext-tiny"), 1024)
    stream = torch.Generator().manual_seed(2)
    clouds = torch.rand(32, 1024, 6, generator=stream)
    prepared = SimpleNamespace(
        get=lambda names: clouds[[int(name[1:]) for name in names]].numpy(),
        processor=SimpleNamespace(pad_id=0),
    )
    store = RowStore(folder, (32, 128)) if cache else None
    encoder = ViewEncoder(model, prepared, store)  # type: ignore[arg-type]
    views = built_in_views(encoder, noise=create("noise", "mask"))
    return model, views, batch_of(32, 32, 30, 20)


def compare_objectives(pairs: int) -> None:
    for cache in (False, True):
        with tempfile.TemporaryDirectory() as name:
            model, views, batch = make_embedded(cache, Path(name))
            sft = make_step(model, create("objective", "sft"), batch, views)
            for objective, aim in AIMS.items():
                step = make_step(model, create("objective", objective), batch, views)
                ours, theirs = medians(step, sft, pairs)
                how = "on" if cache else "off"
                print(f"{objective} vs sft, cache {how}: {ours:.3f} s, {theirs:.3f} s, {ours / theirs:.2f} ({aim})")


def compare_noises(pairs: int) -> None:
    model = model_of(llama(256, 4), NoEncoder(), 1)
    sft = make_step(model, create("objective", "sft"), batch_of(8, PREFIX, 0, ANSWER), prefixes(model, 256))
    points = torch.rand(8, 8192, 6, generator=torch.Generator().manual_seed(3)) * 2 - 1
    for name in ("mask", "gaussian", "random-drop", "crop", "rotate", "color-strip"):
        noise = create("noise", name)

        def apply(noise: Any = noise) -> None:
            noise.apply(points, Draws([(0, 0, f"r{i}", "noised") for i in range(8)]))

        ours, theirs = medians(apply, sft, pairs)
        print(f"{name} on 8 x 8192: {1000 * ours:.0f} ms, {100 * ours / theirs:.1f} % of an SFT step of {theirs:.2f} s")


def compare_trl(pairs: int) -> None:
    if importlib.util.find_spec("trl") is None:
        print("trl is not installed: comparison skipped")
        return
    torch.set_num_threads(2)
    for name, (peer, aim) in AGAINST_TRL.items():
        ours, theirs = medians(make_compared_step(name), trl_step(peer), pairs)
        memory = peak(f"ours-{name}"), peak(f"trl-{peer}")
        print(
            f"our {name} against TRL's {peer}: {ours:.2f} s, {theirs:.2f} s, {ours / theirs:.2f} ({aim}); "
            f"peak {memory[0]:.2f} GB, {memory[1]:.2f} GB, {memory[0] / memory[1]:.2f}"
        )


PARTS = {"objectives": compare_objectives, "noises": compare_noises, "trl": compare_trl}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=9, help="interleaved pairs per figure")
    parser.add_argument("--part", choices=PARTS, help="only this comparison")
    parser.add_argument("--steps-of", help="run three steps of one contestant and print the peak memory in GB")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with ops.use(create("ops", "cpp")):
        if options.steps_of:
            torch.set_num_threads(2)
            side, name = options.steps_of.split("-")
            step = make_compared_step(name) if side == "ours" else trl_step(name)
            for _ in range(3):
                step()
            print(peak_of_this_process())
            return
        for name, compare in PARTS.items():
            if options.part in (None, name):
                compare(options.pairs)


if __name__ == "__main__":
    main()
