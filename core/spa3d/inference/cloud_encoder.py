"""An encoder that takes clouds from files or arrays; needs no LLM."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers.utils import PROCESSOR_NAME

from spa3d.artifacts.model_folder import find_model_folder
from spa3d.checkpoints.encoder_weights import load_weights
from spa3d.checkpoints.load import describe
from spa3d.contracts.dataset import CloudArray
from spa3d.contracts.encoder import Encoder, check_tokens
from spa3d.data.cloud_checks import Colors, from_array, require_points
from spa3d.data.formats.contract import MESH_POINTS, Cloud, Reading
from spa3d.data.formats.read import parse_cloud
from spa3d.data.preparation import Axis, Preparation, encoder_inputs, normalize_cloud, prepare
from spa3d.errors import CheckpointError, DataError
from spa3d.model.parts import create_part
from spa3d.registry.registry import load_registry

CloudSource = str | Path | np.ndarray | Cloud
"""A file of a cloud, or an array ``(N, 6)`` or ``(N, 3)``."""


class CloudEncoder:
    """Encoder of clouds that are read, checked and prepared here.

    Args:
        encoder: in eval mode from now on; its device is kept.
        preparation: how its clouds are resampled, normalized and colored; by default all points, normalized.
        up_axis: axis that ``height`` is measured along.

    """

    def __init__(self, encoder: Encoder, preparation: Preparation | None = None, *, up_axis: Axis = "y") -> None:
        self.encoder, self.preparation, self.up_axis = encoder.eval(), preparation or Preparation(), up_axis

    def encode(self, clouds: Sequence[CloudSource], *, colors: Colors = "0-1") -> list[Tensor]:
        """Tokens ``(M, D)`` of each cloud, in order.

        Raises:
            DataError: a cloud is invalid, or has too few points; the message names its file.

        """

        def encode(points: Tensor, inputs: Tensor) -> Tensor:
            tokens = self.encoder(inputs)
            check_tokens(self.encoder, points, tokens, [*map(_name, clouds)], finite=True)
            return tokens

        return self._run(encode, clouds, colors)

    def pool(self, clouds: Sequence[CloudSource], *, colors: Colors = "0-1") -> list[Tensor]:
        """One feature ``(F,)`` per cloud, as the published encoder returns it; raises as `encode`."""
        return self._run(lambda points, inputs: self.encoder.pool(inputs), clouds, colors)

    def check(self, cloud: CloudSource, *, colors: Colors = "0-1") -> None:
        """Read one cloud, and raise the errors of `encode` without encoding it."""
        self._read(cloud, colors)

    def _read(self, cloud: CloudSource, colors: Colors) -> tuple[CloudArray, bool]:
        """A cloud with enough points, not all in one place, and whether it has colors of its own."""
        where = _name(cloud)
        if isinstance(cloud, np.ndarray):
            points, has_color = from_array(cloud, where=where, colors=colors), cloud.shape[1] == 6
        else:
            reading = Reading(colors, self.preparation.count or MESH_POINTS)
            read = cloud if isinstance(cloud, Cloud) else parse_cloud(cloud, reading)
            points, has_color = read.to_array(), read.colors is not None
        require_points(points, self.encoder.min_points, record_id="", requested_by="the encoder", source=where)
        with _errors_of(cloud):
            normalize_cloud(points[:, :3])
        return points, has_color

    def _prepare(self, cloud: CloudSource, colors: Colors) -> np.ndarray:
        points, has_color = self._read(cloud, colors)
        with _errors_of(cloud):
            # The draws of `Spa3dProcessor.__call__`, the same for every cloud: the result depends on the cloud alone.
            return prepare(points, self.preparation, key=("call", 0), has_color=has_color)

    def _run(
        self, compute: Callable[[Tensor, Tensor], Tensor], clouds: Sequence[CloudSource], colors: Colors
    ) -> list[Tensor]:
        """Compute a result per cloud; clouds with equal numbers of points share a batch."""
        ready = [self._prepare(cloud, colors) for cloud in clouds]
        device = next((weight.device for weight in self.encoder.parameters()), torch.device("cpu"))
        results: dict[int, Tensor] = {}
        for size in sorted({len(points) for points in ready}):
            indices = [i for i, points in enumerate(ready) if len(points) == size]
            batch = torch.from_numpy(np.stack([ready[i] for i in indices])).to(device)
            with torch.no_grad():
                some = compute(batch, encoder_inputs(batch, self.encoder.inputs, self.up_axis))
            results.update(zip(indices, some, strict=True))
        return [results[i] for i in range(len(clouds))]


def load_encoder(
    folder: str | Path, *, plugins: Sequence[str] = (), registry: str | Path | None = None
) -> CloudEncoder:
    """Load the encoder of a saved 3D LLM, without its LLM.

    The preparation of clouds is that of the model. The arguments are those of `spa3d.load`.

    Raises:
        CheckpointError: the folder holds no 3D LLM, or a plugin that it needs is missing.

    """
    model_folder = find_model_folder(folder)
    components = load_registry(added=registry, plugins=plugins)
    config = describe(model_folder, components)
    encoder: Encoder = create_part(components, "encoder", config.encoder)
    load_weights(encoder, model_folder, name=config.encoder["name"])
    up_axis: Any = config.up_axis
    return CloudEncoder(encoder, read_preparation(model_folder, config.num_points), up_axis=up_axis)


def read_preparation(folder: Path, count: int) -> Preparation:
    """Preparation that a saved processor states; without one, `count` points, normalized."""
    file = folder / PROCESSOR_NAME
    if not file.exists():
        return Preparation(count=count)
    try:
        return Preparation(**json.loads(file.read_text(encoding="utf-8"))["points"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{file}: does not say how clouds are prepared ({error}); copy it again") from error


@contextmanager
def _errors_of(cloud: CloudSource) -> Iterator[None]:
    """Let a `DataError` raised inside begin with the name of the cloud."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{_name(cloud)}: {error}") from error


def _name(cloud: CloudSource) -> str:
    if isinstance(cloud, Cloud):
        return cloud.source or "the cloud"
    return "the cloud" if isinstance(cloud, np.ndarray) else str(cloud)
