"""Workspace: the folder of bases, caches and answers shared by runs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spa3d.artifacts.hashing import digest
from spa3d.artifacts.model_folder import DOCUMENTS
from spa3d.errors import OutputError
from spa3d.runtime.file_hashes import FileHashes
from spa3d.runtime.progress import Reporter

VARIABLE = "SPA3D_BASES"


@dataclass(frozen=True)
class Workspace:
    """Paths of shared artifacts below `folder`; each contains the fingerprint of its inputs."""

    folder: Path

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Workspace:
        """Build the workspace of ``$SPA3D_BASES``, by default ``runs/.bases``."""
        return cls(Path(environ.get(VARIABLE, "runs/.bases")))

    def prepare(self) -> None:
        """Create a missing folder; raises `OutputError` if it is not writable."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                return
        except OSError as error:
            raise OutputError(
                f"{self.folder}: bases cannot be kept there ({error.strerror}); name another folder in the variable "
                f"{VARIABLE}"
            ) from error

    def base(self, key: str) -> Path:
        """Folder of a base."""
        return self.folder / key

    def bases(self) -> list[Path]:
        """Folders of all bases, finished or not, sorted by name."""
        return [path.parent for path in sorted(self.folder.glob("*/base.json"))]

    def answers(self, base_key: str, benchmark: str, fingerprint: str) -> Path:
        """File of a base's answers to a benchmark's questions."""
        return self.folder / base_key / "predictions" / f"{benchmark}.{fingerprint}.jsonl"

    def model_answers(self, model: str) -> Path:
        """Folder of the answers of a model, by its hash, to questions of any benchmark."""
        return self.folder / ".answers" / model

    def clouds(self, fingerprint: str) -> Path:
        """Folder of prepared clouds."""
        return self.folder / ".clouds" / fingerprint

    def tokens(self, fingerprint: str) -> Path:
        """Folder of the tokens of a frozen encoder."""
        return self.folder / ".tokens" / fingerprint

    def reference(self, fingerprint: str) -> Path:
        """Folder of the scores of a reference model."""
        return self.folder / ".reference" / fingerprint

    def pairs(self, mode: str, fingerprint: str) -> Path:
        """File of the raw answers behind preference pairs."""
        return self.folder / ".pairs" / f"{mode}-{fingerprint}.jsonl"

    def replies(self, fingerprint: str) -> Path:
        """File of the replies of an LLM that writes or checks questions."""
        return self.folder / ".replies" / f"{fingerprint}.jsonl"

    def file_hashes(self, reporter: Reporter | None = None) -> FileHashes:
        """Hashes of files, remembered here; `reporter` gets the progress of long reading."""
        return FileHashes(self.folder / ".file-hashes.sqlite", reporter)

    def hash_folder(self, folder: Path) -> str:
        """Hash of a model's folder; see `hash_folder`."""
        return hash_folder(folder, self.file_hashes())

    def hash_files(self, paths: Sequence[Path]) -> str:
        """Hash of the contents of files, independent of their names."""
        return digest(self.file_hashes().hash_files(paths))


def hash_folder(folder: Path, hashes: FileHashes) -> str:
    """Hash of names and contents of all files below `folder`.

    Hidden files and `DOCUMENTS` are left out.
    """
    paths = sorted(_files_below(folder))
    names = [path.relative_to(folder).as_posix() for path in paths]
    return digest([*zip(names, hashes.hash_files(paths), strict=True)])


def _files_below(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(parent, name) for name in names if not name.startswith(".") and name not in DOCUMENTS)
