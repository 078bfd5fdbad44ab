"""Low-rank adapters in the LLM of a 3D LLM, through peft: attached, switched off, saved, merged.

With adapters the LLM's own weights stand still; beside each of its linear layers a product of two thin matrices
trains (LoRA, Hu et al. 2021, arXiv:2106.09685, eq. 3: W x + alpha / rank · B A x, B = 0 at first). The projector, where
it trains, is trained whole in a copy, so that the model without its adapters is the base, exactly.

The layers are put into the model in place, as ``peft.inject_adapter_in_model`` does, and not around it as
``get_peft_model`` does: the class stays `Spa3dModel`, so everything that holds the model (views, watchdog, processor,
generation) goes on as before. transformers' Trainer treats a ``PeftModel`` apart only to write and read small
checkpoints; `trained_state` gives it those of a model in place, which it reads back with a plain, non-strict
``load_state_dict``.
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
"""What peft puts before the names of parameters in its files."""
README = """# Adapter of a 3D LLM

What post-training changed, as peft keeps it: low-rank matrices for the LLM and, where it trained, the projector.
It goes on top of the base that the run started from; `model/` beside this folder has it merged already.

    import spa3d
    from peft import PeftModel

    base, processor = spa3d.load("BASE")  # the 3D LLM that the run started from
    model = PeftModel.from_pretrained(base, "RUN/adapter")
"""


def errors(settings: LoRASettings, parts: Collection[str], llm: LLMSettings | None = None) -> list[str]:
    """What keeps adapters from being attached to `llm` while `parts` train; known before any data is read."""
    if not settings.rank:
        return []
    asked, found = f"--train.lora.rank {settings.rank}", []
    if find_spec("peft") is None:
        found.append(f'{asked}: adapters need peft, which is not installed; pip install "spa3d[lora]"')
    chosen = f"--train.train {','.join(parts)}"
    if "llm" not in parts:
        found.append(f"{asked}: adapters train the LLM, which {chosen} leaves out; add llm, or take rank 0")
    beyond = sorted({*parts} - {"llm", "projector"})
    if beyond:
        found.append(
            f"{asked}: beside adapters only the projector can train; leave {' and '.join(beyond)} out of {chosen}, "
            "or take rank 0"
        )
    if llm is not None and settings.targets and not found:
        try:
            planned_size(settings, llm)
        except ConfigError as error:
            found += error.errors
    return found


def planned_size(settings: LoRASettings, llm: LLMSettings | PreTrainedConfig) -> int:
    """Parameters of the adapters that an LLM gets; raises `ConfigError` as `targets` does."""
    from transformers import AutoModelForCausalLM

    from spa3d.model.llm import llm_config

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(llm_config(llm) if isinstance(llm, LLMSettings) else llm)
    chosen = re.compile(targets(model, model.get_decoder(), settings.targets))
    layers = [module for name, module in model.named_modules() if chosen.fullmatch(name)]
    return settings.rank * sum(sum(layer.weight.shape) for layer in layers)


def targets(model: nn.Module, decoder: nn.Module, names: Sequence[str]) -> str:
    """The layers of `decoder`, a part of `model`, that get an adapter, as the expression that peft matches names with.

    Args:
        model: the whole.
        decoder: the LLM without its vocabulary projection.
        names: last names of layers; none: every linear layer.

    Raises:
        ConfigError: a name that no linear layer of the decoder has, or a decoder without any.

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
    place = next(name for name, module in model.named_modules() if module is decoder)
    chosen = "|".join(re.escape(name) for name in names or there)
    return rf"{re.escape(place)}\.(?:.*\.)?(?:{chosen})"


def attach(model: Spa3dModel, parts: Collection[str], settings: LoRASettings, *, seed: int) -> None:
    """Put adapters into the LLM of `model`, in place, and let them and (where it is among `parts`) the projector train.

    The model's outputs do not change. The matrices are float32 and drawn from `seed`: A uniform in ±1/√(its inputs),
    B zero, as peft draws them.

    Raises:
        ConfigError: what `errors` names, or a target that is not there.

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
    with torch.random.fork_rng(devices=[]):  # peft draws from the global generator what is drawn again below
        inject_adapter_in_model(config, model, NAME)
    # Named only now: peft takes every module whose name ends so, also one inside of an encoder.
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


def attached(model: Any) -> bool:
    """Whether `model` has adapters."""
    return "adapters" in getattr(model, "trained", ())


def only_adapters_train(model: Spa3dModel) -> bool:
    """Whether `model` has adapters and everything that trains is switched off with them."""
    if not attached(model):
        return False
    own = {id(parameter) for module in _own(model) for parameter in module.parameters()}
    return all(id(parameter) in own for parameter in model.parameters() if parameter.requires_grad)


@contextmanager
def adapters_off(model: Spa3dModel) -> Iterator[None]:
    """Inside, `model` is the base that it started from, in eval mode; afterwards it is as it was."""
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
    """All of ``model.state_dict()`` that training changes: the adapters, and the projector's copy with its buffers."""
    places = [f"{name}.lora_{matrix}." for name, _ in _layers(model) for matrix in "AB"]
    places += [f"{name}.modules_to_save." for name, _ in _wrappers(model)]
    return {name: value for name, value in model.state_dict().items() if name.startswith(tuple(places))}


def save(model: Spa3dModel, folder: Path) -> None:
    """Write the adapters of `model` as peft does: ``adapter_config.json`` and safetensors, with a README."""
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
    """Add the adapters of `model` to its weights, in place and in float32; what remains is a model without peft.

    The weights become float32: half precision would round most of what the adapters learned away.
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
    """Name and layer of everything that has an adapter."""
    from peft.tuners.lora import LoraLayer

    return [(name, module) for name, module in model.named_modules() if isinstance(module, LoraLayer)]


def _wrappers(model: nn.Module) -> list[tuple[str, Any]]:
    """Name and wrapper of everything that trains whole, in a copy."""
    from peft.utils import ModulesToSaveWrapper

    return [(name, module) for name, module in model.named_modules() if isinstance(module, ModulesToSaveWrapper)]


def _own(model: nn.Module) -> list[nn.Module]:
    """What is switched off with the adapters."""
    matrices = [matrix for _, layer in _layers(model) for matrix in (layer.lora_A, layer.lora_B)]
    return [*matrices, *(wrapper.modules_to_save for _, wrapper in _wrappers(model))]
