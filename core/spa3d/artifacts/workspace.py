"""Workspace: the folder of bases, caches and answers shared by runs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from spa3d.artifacts.hashing import digest, hash_file
from spa3d.errors import OutputError
from spa3d.runtime.atomic_files import write_whole

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

    def hash_folder(self, folder: Path) -> str:
        """Hash of the contents of a saved model.

        Hashes of files are cached by path, size and modification time.
        """
        paths = sorted((*folder.glob("*.json"), *folder.glob("*.safetensors")))
        return digest([(path.name, self._hash_file(path)) for path in paths])

    def hash_files(self, paths: Sequence[Path]) -> str:
        """Hash of the contents of files, independent of their names; cached as in `hash_folder`."""
        return digest([self._hash_file(path) for path in paths])

    def _hash_file(self, path: Path) -> str:
        stat = path.stat()
        cached = self.folder / ".hashes" / digest([str(path.resolve()), stat.st_size, stat.st_mtime_ns])
        if cached.exists():
            return cached.read_text(encoding="utf-8")
        content_hash = hash_file(path)
        with suppress(OSError):  # without a cache entry the next run computes the hash again
            write_whole(cached, content_hash)
        return content_hash
