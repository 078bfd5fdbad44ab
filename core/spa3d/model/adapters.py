"""Low-rank adapters for the LLM of a 3D LLM, through peft: attach, switch off, save, merge.

With adapters the LLM's own weights are frozen, and a product of two thin matrices is trained beside each linear layer
(LoRA, Hu et al. 2021, arXiv:2106.09685, eq. 3: W x + alpha / rank · B A x, B = 0 at first). If the projector trains, a
full copy of it is trained. So the model without its adapters is exactly the base.

The layers are inserted in place, as ``peft.inject_adapter_in_model`` does. ``get_peft_model`` would wrap the model.
Here the class stays `Spa3dModel`, so all code that uses the model works unchanged. transformers' Trainer handles a
``PeftModel`` specially only to write and read small checkpoints. Here `trained_state` provides their content, and a
non-strict ``load_state_dict`` reads it back.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from spa3d.config.settings import LLMSettings, LoRASettings
from spa3d.errors import ConfigError
from spa3d.runtime import torchvision_guard as torchvision_guard
from spa3d.runtime.rng import keyed_generator

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

    from spa3d.model.modeling import Spa3dModel

NAME = "default"
"""The adapter's name inside the model; peft leaves it out of the files."""
PREFIX = "base_model.model."
"""Prefix of parameter names in peft's files."""
README = """# Adapter of a 3D LLM

What post-training changed, as peft keeps it: low-rank matrices for the LLM and, where it trained, the projector.
It goes on top of the base that the run started from; `model/` beside this folder has it merged already.

    import spa3d
    from peft import PeftModel

    base, processor = spa3d.load("BASE")  # the 3D LLM that the run started from
    model = PeftModel.from_pretrained(base, "RUN/adapter")
"""


def errors(settings: LoRASettings, parts: Collection[str], llm: LLMSettings | None = None) -> list[str]:
    """Find why adapters cannot be attached to `llm` while `parts` train; needs no data."""
    if not settings.rank:
        return []
    rank_flag, messages = f"--train.lora.rank {settings.rank}", []
    if find_spec("peft") is None:
        messages.append(f'{rank_flag}: adapters need peft, which is not installed; pip install "spa3d[lora]"')
    train_flag = f"--train.train {','.join(parts)}"
    if "llm" not in parts:
        messages.append(f"{rank_flag}: adapters train the LLM, which {train_flag} leaves out; add llm, or take rank 0")
    beyond = sorted({*parts} - {"llm", "projector"})
    if beyond:
        messages.append(
            f"{rank_flag}: beside adapters only the projector can train; leave {' and '.join(beyond)} out of "
            f"{train_flag}, or take rank 0"
        )
    if llm is not None and settings.targets and not messages:
        try:
            planned_size(settings, llm)
        except ConfigError as error:
            messages += error.errors
    return messages


def planned_size(settings: LoRASettings, llm: LLMSettings | PreTrainedConfig) -> int:
    """Number of parameters of the adapters of an LLM; raises `ConfigError` as `targets` does."""
    from transformers import AutoModelForCausalLM

    from spa3d.model.llm import llm_config

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(llm_config(llm) if isinstance(llm, LLMSettings) else llm)
    chosen = re.compile(targets(model, model.get_decoder(), settings.targets))
    layers = [module for name, module in model.named_modules() if chosen.fullmatch(name)]
    return settings.rank * sum(sum(layer.weight.shape) for layer in layers)


def targets(model: nn.Module, decoder: nn.Module, names: Sequence[str]) -> str:
    """Regular expression for peft that matches the layers of `decoder` with an adapter.

    Args:
        model: the whole model, which contains `decoder`.
        decoder: the LLM without its vocabulary projection.
        names: last parts of the names of layers; empty: every linear layer.

    Raises:
        ConfigError: no linear layer of the decoder has a given name, or there is none.

    """
    from transformers.pytorch_utils import Conv1D

    there = {
        name.rpartition(".")[2]: None
        for name, module in decoder.named_modules()
        if isinstance(module, nn.Linear | Conv1D)
    }
    unknown = [name for name in names if name not in there]
    if not there:
        raise ConfigError("--train.lora.rank: the LLM's decoder has no linear layer, so adapters cannot train this LLM")
    if unknown:
        raise ConfigError(
            f"--train.lora.targets {','.join(names)}: the LLM's decoder has no linear layer {', '.join(unknown)}; "
            f"there are: {', '.join(sorted(there))}"
        )
    decoder_name = next(name for name, module in model.named_modules() if module is decoder)
    layer_names = "|".join(re.escape(name) for name in names or there)
    return rf"{re.escape(decoder_name)}\.(?:.*\.)?(?:{layer_names})"


def attach(model: Spa3dModel, parts: Collection[str], settings: LoRASettings, *, seed: int) -> None:
    """Insert trainable adapters into the LLM of `model`.

    The projector trains if it is in `parts`.

    The model's outputs do not change. The matrices are float32 and drawn from `seed`: A uniform in ±1/√(its inputs),
    B zero, as peft draws them.

    Raises:
        ConfigError: an error of `errors`, or a missing target layer.

    """
    wrong = errors(settings, parts)
    if wrong:
        raise ConfigError(wrong)
    from peft import LoraConfig, inject_adapter_in_model
    from peft.utils import ModulesToSaveWrapper

    saved = [part for part in ("projector",) if part in parts]
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type]  # it may be any number
        lora_dropout=settings.dropout,
        target_modules=targets(model, model.get_decoder(), settings.targets),
        base_model_name_or_path=model.name_or_path,
    )
    model.set_trained()
    with torch.random.fork_rng(devices=[]):  # peft draws from the global generator; the values are drawn again below
        inject_adapter_in_model(config, model, NAME)
    # Set only now: peft matches every module whose name ends so, also inside of an encoder.
    config.modules_to_save = saved or None
    for part in saved:
        wrapper = ModulesToSaveWrapper(getattr(model, part), NAME)
        wrapper.set_adapter([NAME])
        setattr(model, part, wrapper)
    for name, layer in _layers(model):
        matrix, zero = layer.lora_A[NAME].float().weight, layer.lora_B[NAME].float().weight
        bound = matrix.shape[1] ** -0.5
        drawn = keyed_generator(seed, "lora", name).uniform(-bound, bound, tuple(matrix.shape))
        with torch.no_grad():
            matrix.copy_(torch.from_numpy(drawn))
            zero.zero_()
    model.set_adapted(*saved, adapters=[layer.lora_dropout for _, layer in _layers(model)])


def has_adapters(model: Any) -> bool:
    """Whether `model` has adapters."""
    return "adapters" in getattr(model, "trained", ())


def only_adapters_train(model: Spa3dModel) -> bool:
    """Whether `model` has adapters, and `adapters_off` switches off everything that trains."""
    if not has_adapters(model):
        return False
    own = {id(parameter) for module in _switchable_modules(model) for parameter in module.parameters()}
    return all(id(parameter) in own for parameter in model.parameters() if parameter.requires_grad)


@contextmanager
def adapters_off(model: Spa3dModel) -> Iterator[None]:
    """Context in which `model` is the base, in eval mode; its state is restored afterwards."""
    training = model.training
    switches = [*(layer for _, layer in _layers(model)), *(wrapper for _, wrapper in _wrappers(model))]
    for switch in switches:
        switch.enable_adapters(False)
    model.eval()
    try:
        yield
    finally:
        for switch in switches:
            switch.enable_adapters(True)
        model.train(training)


def trained_state(model: Spa3dModel) -> dict[str, Tensor]:
    """Trained part of ``model.state_dict()``: adapters, and the projector's copy with buffers."""
    prefixes = [f"{name}.lora_{matrix}." for name, _ in _layers(model) for matrix in "AB"]
    prefixes += [f"{name}.modules_to_save." for name, _ in _wrappers(model)]
    return {name: value for name, value in model.state_dict().items() if name.startswith(tuple(prefixes))}


def save(model: Spa3dModel, folder: Path) -> None:
    """Write the adapters of `model` as peft does: configuration, safetensors, README."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    state = get_peft_model_state_dict(model, adapter_name=NAME, save_embedding_layers=False)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {PREFIX + name: value.contiguous() for name, value in state.items()},
        folder / "adapter_model.safetensors",
        metadata={"format": "pt"},
    )
    model.peft_config[NAME].save_pretrained(folder)
    (folder / "README.md").write_text(README, encoding="utf-8")


def merge(model: Spa3dModel) -> None:
    """Add the adapters of `model` to its weights, in place, in float32; remove peft's layers.

    The weights become float32: rounding to half precision would lose most of the change.
    """
    model.float()
    for name, layer in _layers(model):
        layer.merge()
        model.set_submodule(name, layer.get_base_layer())
    for name, wrapper in _wrappers(model):
        model.set_submodule(name, wrapper.modules_to_save[NAME])
    del model.peft_config
    model.set_trained()


def _layers(model: nn.Module) -> list[tuple[str, Any]]:
    """Name and module of every layer with an adapter."""
    from peft.tuners.lora import LoraLayer

    return [(name, module) for name, module in model.named_modules() if isinstance(module, LoraLayer)]


def _wrappers(model: nn.Module) -> list[tuple[str, Any]]:
    """Name and wrapper of every module with a trained copy."""
    from peft.utils import ModulesToSaveWrapper

    return [(name, module) for name, module in model.named_modules() if isinstance(module, ModulesToSaveWrapper)]


def _switchable_modules(model: nn.Module) -> list[nn.Module]:
    """Modules that `adapters_off` switches off."""
    matrices = [matrix for _, layer in _layers(model) for matrix in (layer.lora_A, layer.lora_B)]
    return [*matrices, *(wrapper.modules_to_save for _, wrapper in _wrappers(model))]
