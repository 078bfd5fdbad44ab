"""The workspace: the folder in which runs share bases, caches and answers."""

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
    """Paths of what runs share below `folder`, each by the fingerprint of what decides it."""

    folder: Path

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Workspace:
        """The folder in ``$SPA3D_BASES``, or ``runs/.bases``."""
        return cls(Path(environ.get(VARIABLE, "runs/.bases")))

    def prepare(self) -> None:
        """Make the folder where it is missing; raises `OutputError` where it cannot be written."""
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
        """Folders of the bases that were begun, by name."""
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
        """File of the answers that preference pairs are made of."""
        return self.folder / ".pairs" / f"{mode}-{fingerprint}.jsonl"

    def hash_folder(self, folder: Path) -> str:
        """Hash of the contents of a saved model; that of a file is kept by path, size and time, for the next run."""
        paths = sorted((*folder.glob("*.json"), *folder.glob("*.safetensors")))
        return digest([(path.name, self._hash_file(path)) for path in paths])

    def hash_files(self, paths: Sequence[Path]) -> str:
        """Hash of the contents of files, whatever they are called; kept as `hash_folder` keeps it."""
        return digest([self._hash_file(path) for path in paths])

    def _hash_file(self, path: Path) -> str:
        stat = path.stat()
        known = self.folder / ".hashes" / digest([str(path.resolve()), stat.st_size, stat.st_mtime_ns])
        if known.exists():
            return known.read_text(encoding="utf-8")
        found = hash_file(path)
        with suppress(OSError):  # what cannot be kept is computed again
            write_whole(known, found)
        return found
