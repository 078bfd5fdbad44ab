"""What an encoder says of clouds, one file per cloud; implements `spa3d.extract_features`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import numpy as np
from safetensors.numpy import save_file

from spa3d.inference.cloud_encoder import CloudEncoder
from spa3d.inference.requests import CloudRequest, read_requests
from spa3d.inference.session import ModelSource
from spa3d.pipeline.line_job import (
    LineJob,
    LineResult,
    LineSettings,
    Work,
    check_clouds,
    describe_source,
    skip_bad_clouds,
)
from spa3d.runtime.progress import Reporter, SilentReporter

Kind = Literal["tokens", "pooled"]
Format = Literal["npy", "safetensors"]
INDEX = "features.jsonl"
"""File of the lines in the output folder."""


@dataclass(frozen=True)
class FeatureSettings(LineSettings):
    """Which features are written, and how.

    Attributes:
        kind: tokens ``(M, D)``, or the pooled feature ``(F,)``, float32.
        format: of the files; a safetensors file has one tensor, called like `kind`.

    """

    kind: Kind = "tokens"
    format: Format = "npy"


def extract_features(
    model: str | Path | ModelSource,
    clouds: str | Path,
    output: str | Path,
    *,
    settings: FeatureSettings | None = None,
    reporter: Reporter | None = None,
) -> LineResult:
    """Encode the clouds in a file of JSON lines, without the LLM.

    The same call continues a killed one.

    Args:
        model: the folder of a run or of a model, or a `ModelSource` with its device.
        clouds: a file of lines ``{"id", "cloud"}``.
        output: a folder. Each cloud gets a file, named by its id (``%`` and two digits replace what names may not
            hold). ``features.jsonl`` lists them, when all are there: ``id``, ``cloud``, ``file``, ``shape``.
        settings: of the features.
        reporter: where progress goes.

    Raises:
        DataError: bad lines, or bad clouds that are not to be skipped; all of them are named.
        OutputError: the output is in use, or was made with something else.

    """
    source = model if isinstance(model, ModelSource) else ModelSource(model)
    settings, reporter = settings or FeatureSettings(), reporter or SilentReporter()
    requests, folder = read_requests(Path(clouds), settings.root, questions=False), Path(output)
    request = {
        **describe_source(Path(clouds), settings.root, source.path, reporter),
        "features": settings.kind,
        "format": settings.format,
        "colors": settings.colors,
        "on_bad_data": settings.on_bad_data,
    }
    job = LineJob(requests, folder / INDEX, request, settings, reporter)
    return job.run(lambda pending: _start(source, pending, folder, settings, reporter), "clouds")


def _start(
    source: ModelSource,
    requests: Sequence[CloudRequest],
    folder: Path,
    settings: FeatureSettings,
    reporter: Reporter,
) -> Work:
    """Check the clouds, and return the function that encodes a batch of them."""
    encoder = source.open_encoder()
    errors = check_clouds(requests, lambda: encoder, settings, reporter)

    def encode(batch: Sequence[CloudRequest]) -> list[dict[str, Any]]:
        return [
            _write(request, feature, folder, settings)
            for request, feature in zip(batch, _compute(encoder, batch, settings), strict=True)
        ]

    return skip_bad_clouds(encode, errors)


def _compute(encoder: CloudEncoder, batch: Sequence[CloudRequest], settings: FeatureSettings) -> list[np.ndarray]:
    """The features of a batch, float32."""
    compute = encoder.encode if settings.kind == "tokens" else encoder.pool
    features = compute([request.cloud for request in batch if request.cloud], colors=settings.colors)
    return [feature.float().cpu().numpy() for feature in features]


def _write(request: CloudRequest, feature: np.ndarray, folder: Path, settings: FeatureSettings) -> dict[str, Any]:
    """Write the feature of one cloud; returns its line."""
    file = f"{quote(str(request.id), safe='')}.{settings.format}"
    if settings.format == "npy":
        np.save(folder / file, feature)
    else:
        save_file({settings.kind: np.ascontiguousarray(feature)}, folder / file)
    return {"id": request.id, "cloud": str(request.cloud), "file": file, "shape": list(feature.shape)}
