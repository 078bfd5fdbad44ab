"""Trained parts of a 3D LLM, in float32; everything else is frozen and in eval mode."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase


class TrainedParts(nn.Module):
    """Mixin of `Spa3dModel`: the parts that train, by name.

    Attributes:
        trained: names of the parts that train; ``adapters`` stands for those in the LLM.
        adapters: modules of the adapters that follow ``train()``.
        trained_rows: ``(V, 1)``, marks the rows of the input embeddings that train alone; None: there are none.

    """

    encoder: Any
    projector: Any
    language_model: Any
    config: Any
    trained: frozenset[str] = frozenset()
    adapters: tuple[nn.Module, ...] = ()
    trained_rows: Tensor | None = None
    _row_hook: Any = None

    @property
    def parts(self) -> Mapping[str, nn.Module]:
        """The parts by name: encoder, projector, llm."""
        return {"encoder": self.encoder, "projector": self.projector, "llm": self.language_model}

    def set_trained(self, *parts: str) -> None:
        """Train only `parts` (of encoder, projector, llm, embeddings); everything else is frozen.

        Weights that train become float32 (master weights): in half precision small steps would be lost. Frozen ones
        keep their data type. A frozen part stays in eval mode after ``train()``, so its parameters and buffers are
        bit-identical after training.

        ``embeddings`` are the input embeddings of the point tokens alone (PointLLM's first stage trains them with the
        projector). Other rows get no gradient. `trained_rows` ``(V, 1)`` marks the rows that train; an optimizer with
        weight decay or old momentum must restore the others, as `StageTrainer` does.
        """
        self.trained, self.adapters, self.trained_rows = frozenset(parts), (), None
        if self._row_hook is not None:
            self._row_hook.remove()
            self._row_hook = None
        for name, module in self.parts.items():
            module.requires_grad_(name in self.trained)
            if name in self.trained:
                module.float()
        if "embeddings" in self.trained and "llm" not in self.trained:
            model: Any = self
            weight = model.get_input_embeddings().float().weight.requires_grad_(True)
            rows = torch.zeros(len(weight), 1, dtype=torch.bool, device=weight.device)
            rows[list(self.config.point_ids)] = True
            self.trained_rows = rows
            self._row_hook = weight.register_hook(lambda gradient: gradient * rows.to(gradient))
        self.train(self.training)

    def set_adapted(self, *parts: str, adapters: Iterable[nn.Module]) -> None:
        """Register `adapters` and `parts`, prepared by `spa3d.model.adapters`, as trained.

        The LLM around the adapters is frozen and stays in eval mode; the adapters follow ``train()``.
        """
        self.trained, self.adapters = frozenset((*parts, "adapters")), tuple(adapters)
        for part in parts:
            self.parts[part].float()
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set the training mode, which frozen parts and batch statistics ignore.

        With the statistics of its own batch a view would be normalized otherwise than in evaluation, and a step would
        depend on its split into batches.
        """
        super().train(mode)
        for name, module in self.parts.items():
            if name not in self.trained:
                module.eval()
        for module in self.adapters:
            module.train(mode)
        for module in find_batch_statistics(self):
            module.eval()
        return self


def find_batch_statistics(module: nn.Module) -> list[nn.Module]:
    """Find modules that in train mode take statistics over a batch."""
    return [
        result
        for result in module.modules()
        if isinstance(result, _BatchNorm) or (isinstance(result, _NormBase) and result.track_running_stats)
    ]
