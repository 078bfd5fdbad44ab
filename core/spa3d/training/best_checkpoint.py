"""Best checkpoint: the weights with the highest held-out log p(y|x), restored at the end."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from spa3d.runtime import distributed


class BestCheckpoint:
    """File at `path` with the trained weights of `model` at the best score, its step and score."""

    def __init__(self, model: nn.Module, path: Path) -> None:
        self.model, self.path = model, path

    def update(self, step: int, score: float) -> None:
        """Save the present weights if `score` is the best so far.

        Every process calls this, and only the first one reads and writes the file: another process might read it after
        the write.
        """

        def keep() -> None:
            kept = self.read_saved()
            if kept is None or score > kept[1]:
                state = {name: value.detach().cpu().contiguous() for name, value in self._changing_state().items()}
                fresh = self.path.with_suffix(".fresh")
                save_file(state, fresh, metadata={"step": str(step), "score": repr(score)})
                fresh.replace(self.path)

        distributed.run_in_first(keep)

    def read_saved(self) -> tuple[int, float] | None:
        """Step and score of the saved weights; None if there are none."""
        if not self.path.exists():
            return None
        with safe_open(self.path, framework="pt") as file:
            metadata = file.metadata()
        return int(metadata["step"]), float(metadata["score"])

    def restore(self) -> None:
        """Load the saved weights into the model."""
        with torch.no_grad(), safe_open(self.path, framework="pt") as file:
            for name, value in self._changing_state().items():
                value.copy_(file.get_tensor(name))

    def _changing_state(self) -> dict[str, Tensor]:
        """Trained parameters, and buffers, because running statistics change with them."""
        saved = self.model.state_dict()
        buffers = {name: value for name, value in self.model.named_buffers() if name in saved}
        return {name: value for name, value in self.model.named_parameters() if value.requires_grad} | buffers
