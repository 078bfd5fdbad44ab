"""Peak memory of loading a 3D LLM of a billion weights, beside the size of its files.

    .venv/bin/python benchmarks/loading.py [--layers 20]

Random bfloat16 weights in PointLLM's layout and in spa3d's are written to a temporary folder (2.2 GB each). Every load
runs in a process of its own. The peak is that of the resident memory, mapped files included, above what the process
held before the load; it must be at most 1.15 times the size of the files.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import spa3d

TOKENIZER = Path(__file__).parents[1] / "tests" / "golden" / "pointllm" / "tokenizer.model"
AIM = 1.15
SHARD = "400MB"
MEGABYTE = 1e6


def make_pointllm(folder: Path, layers: int) -> None:
    """Write a PointLLM of random weights, in shards."""
    import torch

    from spa3d.checkpoints.pointllm import SYSTEM, read_pointllm_tokenizer
    from spa3d.checkpoints.pointllm_export import write_pointllm
    from spa3d.model.configuration import Spa3dConfig
    from spa3d.model.modeling import Spa3dModel
    from spa3d.model.parts import describe_part
    from spa3d.model.processing import Spa3dProcessor
    from spa3d.registry.registry import load_registry

    from transformers import LlamaConfig, LlamaForCausalLM  # isort: skip - after spa3d has handled a broken torchvision

    folder.mkdir()
    shutil.copyfile(TOKENIZER, folder / TOKENIZER.name)
    names = ("<point_start>", "<point_patch>", "<point_end>")
    processor = Spa3dProcessor(
        read_pointllm_tokenizer(folder, names), points={"normalize": True}, system=SYSTEM, point_tokens=names
    )
    processor.sentencepiece = TOKENIZER.read_bytes()
    registry = load_registry()
    llm = LlamaConfig(
        vocab_size=len(processor.tokenizer),
        hidden_size=2048,
        intermediate_size=5504,
        num_hidden_layers=layers,
        num_attention_heads=16,
    )
    config = Spa3dConfig(
        text_config=llm,
        encoder=describe_part(registry, "encoder", "pointbert-pointllm", {}),
        projector=describe_part(registry, "projector", "mlp", {}),
        num_points=8192,
        point_ids=processor.point_ids,
    )
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    model = Spa3dModel(config, language_model=LlamaForCausalLM(llm))
    torch.set_default_dtype(torch.float32)
    write_pointllm(model, processor, folder, shard_size=SHARD)


def size_of(folder: Path) -> int:
    """Bytes of the weights in `folder`."""
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def resident(peak: bool) -> int:
    """Resident memory of this process in bytes, now or at its peak."""
    name = "VmHWM:" if peak else "VmRSS:"
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def measure(folder: Path) -> dict[str, Any]:
    """Load the model in `folder`, in this process."""
    import torch

    import spa3d.checkpoints.load as loading

    torch.set_num_threads(1)
    before, start = resident(peak=False), time.perf_counter()
    model, _ = loading.load(folder)
    seconds = time.perf_counter() - start
    loaded = sum(tensor.nbytes for tensor in model.state_dict().values())
    return {"peak": resident(peak=True) - before, "loaded": loaded, "seconds": seconds}


def report(what: str, folder: Path) -> bool:
    """Print the figures of one folder; whether its peak is within the aim."""
    command = [sys.executable, __file__, "--measure", str(folder)]
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    size = size_of(folder)
    ratio, number = result["peak"] / size, len([*folder.glob("*.safetensors")])
    print(
        f"{what:10} {size / MEGABYTE:7.0f} MB in {number} files, {result['loaded'] / MEGABYTE:7.0f} MB loaded, peak "
        f"{result['peak'] / MEGABYTE:7.0f} MB = {ratio:.2f} x the files (aim {AIM}), {result['seconds']:.1f} s"
    )
    return bool(ratio <= AIM)


def main() -> int:
    """Measure both layouts; 1 if a peak is above the aim."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--layers", type=int, default=20)
    parser.add_argument("--measure", type=Path)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure)))
        return 0
    with tempfile.TemporaryDirectory() as name:
        pointllm, own = Path(name) / "pointllm", Path(name) / "own"
        make_pointllm(pointllm, arguments.layers)
        good = report("pointllm", pointllm)
        model, processor = spa3d.load(pointllm)
        shutil.rmtree(pointllm)
        model.save_pretrained(own, max_shard_size=SHARD)
        processor.save_pretrained(own)
        good &= report("spa3d", own)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
