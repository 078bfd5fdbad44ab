"""Pointers from the flag names of TRL and transformers to the flags of a run."""

from __future__ import annotations

_BATCH = "--train.batch_size counts the samples of an optimizer step over all devices; --train.accumulation divides it"
_RATE = "--train.learning_rate"
_LLM = "--llm for the LLM, --base for a complete 3D LLM"
_LENGTH = "--llm.max_length counts prompt and answer together"
_CURVES = "nothing is sent anywhere; the curves are in metrics.jsonl and report.html of the run"
_HUB = "a run uploads nothing; in Python, `model, processor = spa3d.load(folder)` and `model.push_to_hub(name)`"
_LAUNCHER = "start tools/run.py with accelerate launch and a configuration file of accelerate"
_DTYPE = "--dtype bfloat16 for arithmetic, --train.save_dtype for the saved model"

POINTERS = {
    "learning_rate": _RATE,
    "lr": _RATE,
    "max_steps": "--train.steps",
    "num_train_epochs": "--train.epochs",
    "num_epochs": "--train.epochs",
    "epochs": "--train.epochs",
    "batch_size": _BATCH,
    "train_batch_size": _BATCH,
    "per_device_train_batch_size": _BATCH,
    "per_device_eval_batch_size": "--evaluate.batch_size",
    "eval_batch_size": "--evaluate.batch_size",
    "gradient_accumulation_steps": "--train.accumulation",
    "lr_scheduler_type": "--train.schedule",
    "warmup_ratio": "--train.warmup",
    "warmup_steps": "--train.warmup is a share of the steps",
    "weight_decay": "--train.weight_decay",
    "adam_beta2": "--train.beta2",
    "max_grad_norm": "--train.max_grad_norm",
    "optim": "every stage uses AdamW",
    "logging_steps": "--train.log_every",
    "save_steps": "--train.save_every",
    "save_strategy": "--train.save_every counts steps",
    "eval_steps": "--train.probe_every",
    "eval_strategy": "--train.probe_every counts steps",
    "load_best_model_at_end": "--train.keep best",
    "bf16": _DTYPE,
    "fp16": _DTYPE,
    "torch_dtype": _DTYPE,
    "use_cpu": "--device cpu",
    "no_cuda": "--device cpu",
    "output_dir": "--output",
    "run_name": "--output names the folder of the run",
    "resume_from_checkpoint": "--resume with --output",
    "report_to": _CURVES,
    "logging_dir": _CURVES,
    "deepspeed": _LAUNCHER,
    "fsdp": _LAUNCHER,
    "push_to_hub": _HUB,
    "hub_model_id": _HUB,
    "model": _LLM,
    "model_name": _LLM,
    "model_name_or_path": _LLM,
    "dataset_name": "--dataset; files are named with its settings, such as --dataset.root",
    "data_path": "--dataset; files are named with its settings, such as --dataset.root",
    "max_length": _LENGTH,
    "max_seq_length": _LENGTH,
    "max_prompt_length": _LENGTH,
    "model_max_length": _LENGTH,
    "beta": "--objective.beta, for objectives that have it, such as dpo",
    "loss_type": "--objective",
    "precompute_ref_log_probs": "--train.reference precomputed",
    "ref_model": "--train.reference",
    "use_peft": "--train.lora.rank above 0",
    "lora_r": "--train.lora.rank",
    "lora_alpha": "--train.lora.alpha",
    "lora_dropout": "--train.lora.dropout",
    "lora_target_modules": "--train.lora.targets",
}
"""What to give instead of a flag, by its name without dashes."""


def describe_pointer(name: str) -> str:
    """Describe what stands for a flag or setting of TRL or transformers; empty if it is none."""
    pointer = POINTERS.get(name.rpartition(".")[2].replace("-", "_"), "")
    return f"here it is {pointer}" if pointer.startswith("--") else pointer
