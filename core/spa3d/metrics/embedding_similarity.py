"""Similarity of captions by a sentence-transformers model from a local folder.

The score is the cosine of the two embeddings, in [-1, 1]. PointLLM uses two such models (all-mpnet-base-v2 and SimCSE),
so a score means nothing without the name of its model.

Source: Reimers and Gurevych, EMNLP 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from spa3d.errors import DataError, first_line

BATCH = 64
"""Texts per forward."""


def check_embedding_model(path: str | Path) -> Path:
    """Check that a model can be loaded, without loading it.

    Raises:
        DataError: the package is not installed, or the folder has no model.

    """
    folder = Path(path).expanduser()
    if not str(path):
        raise DataError("embedding similarity needs a model: give the folder of a sentence-transformers model")
    if not folder.is_dir():
        raise DataError(f"{path}: no folder; give the folder of a sentence-transformers model (it is not downloaded)")
    if not any((folder / name).is_file() for name in ("modules.json", "config.json")):
        raise DataError(f"{path}: no sentence-transformers model: it has neither modules.json nor config.json")
    if find_spec("sentence_transformers") is None:
        raise DataError(
            "embedding similarity needs sentence-transformers; install it with: pip install 'spa3d[embeddings]'"
        )
    return folder


class EmbeddingSimilarity:
    """Scorer of captions by the cosine of their embeddings.

    Args:
        path: folder of a sentence-transformers model.
        device: where it runs.

    Raises:
        DataError: the model cannot be loaded.

    """

    def __init__(self, path: str | Path, *, device: str = "cpu") -> None:
        folder = check_embedding_model(path)
        from spa3d.runtime import torchvision_guard as torchvision_guard  # imports torch

        try:
            from sentence_transformers import SentenceTransformer

            self._model: Any = SentenceTransformer(str(folder), device=device, local_files_only=True)
        except Exception as error:  # whatever the libraries raise on files that are cut, or of another format
            cause = f"{type(error).__name__}: {first_line(error)}"
            raise DataError(f"{path}: the sentence-transformers model cannot be loaded ({cause})") from error

    def score(self, predictions: Sequence[str], references: Sequence[str]) -> list[float]:
        """Compute the cosine of each caption and its reference; the model cuts long texts."""
        texts = list(dict.fromkeys([*predictions, *references]))
        if not texts:
            return []
        rows = self._model.encode(
            texts, batch_size=BATCH, convert_to_numpy=True, normalize_embeddings=True, show_progress_bar=False
        )
        by_text = dict(zip(texts, rows, strict=True))
        return [float(by_text[text] @ by_text[other]) for text, other in zip(predictions, references, strict=True)]
