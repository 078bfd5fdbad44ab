"""The card and the passport of a model: read with it, and saved with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spa3d.artifacts.model_folder import DOCUMENTS


class Documented:
    """Mixin of `Spa3dModel` that keeps the files that describe it.

    ``save_pretrained`` writes them, and so does ``push_to_hub``: without this, transformers would put a card of its
    own in the place of the model's.

    Attributes:
        documents: content by file name; empty for a new model, and for one whose weights have changed.

    """

    documents: Mapping[str, str] = {}

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> Any:
        """Load a saved model, with the documents in its folder."""
        parent: Any = super()
        loaded = parent.from_pretrained(pretrained_model_name_or_path, *args, **kwargs)
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        files = [Path(pretrained_model_name_or_path, name) for name in DOCUMENTS]
        model.documents = {
            file.name: file.read_text(encoding="utf-8", errors="replace") for file in files if file.is_file()
        }
        return loaded

    def save_pretrained(self, save_directory: Any, *args: Any, **kwargs: Any) -> None:
        """Save the model, with its documents."""
        parent: Any = super()
        parent.save_pretrained(save_directory, *args, **kwargs)
        self._write_documents(Path(save_directory))

    def _upload_modified_files(self, working_dir: Any, *args: Any, **kwargs: Any) -> Any:
        """Transformers' hook: it uploads the folder, in which it has just replaced the card."""
        self._write_documents(Path(working_dir))
        parent: Any = super()
        return parent._upload_modified_files(working_dir, *args, **kwargs)

    def _write_documents(self, folder: Path) -> None:
        for name, text in self.documents.items():
            (folder / name).write_text(text, encoding="utf-8")
