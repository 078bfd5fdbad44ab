"""The weights of the probe with the highest held-out log p(y|x), kept beside the run and put back at its end."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from spa3d.runtime import distributed


class BestCheckpoint:
    """Keeps what training changes of `model` in `path`, with the step and the score it was reached with."""

    def __init__(self, model: nn.Module, path: Path) -> None:
        self.model, self.path = model, path

    def update(self, step: int, score: float) -> None:
        """Keep the weights as they are now if `score` beats the best so far.

        Every process comes here, the first looks and writes: another might look when that is written already.
        """

        def keep() -> None:
            kept = self.kept()
            if kept is None or score > kept[1]:
                state = {name: value.detach().cpu().contiguous() for name, value in self._changing().items()}
                fresh = self.path.with_suffix(".fresh")
                save_file(state, fresh, metadata={"step": str(step), "score": repr(score)})
                fresh.replace(self.path)

        distributed.first_only(keep)

    def kept(self) -> tuple[int, float] | None:
        """Step and score of what is kept; None where nothing is."""
        if not self.path.exists():
            return None
        with safe_open(self.path, framework="pt") as file:
            told = file.metadata()
        return int(told["step"]), float(told["score"])

    def restore(self) -> None:
        """Put the kept weights back into the model."""
        with torch.no_grad(), safe_open(self.path, framework="pt") as file:
            for name, value in self._changing().items():
                value.copy_(file.get_tensor(name))

    def _changing(self) -> dict[str, Tensor]:
        """The parameters that train, and the buffers, for running statistics move with them."""
        saved = self.model.state_dict()
        buffers = {name: value for name, value in self.model.named_buffers() if name in saved}
        return {name: value for name, value in self.model.named_parameters() if value.requires_grad} | buffers
