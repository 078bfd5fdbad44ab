"""Source files that decide a result: modules and all they import."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path


def source_files(*modules: str) -> list[Path]:
    """Files of `modules` and of everything they import, directly or not, from their own top-level packages.

    What a module imports is read off its names, so no file is parsed.
    """
    packages = {name.partition(".")[0] for name in modules} | {"spa3d"}
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        module = import_module(name)
        found[name] = Path(str(module.__file__))
        values = vars(module).values()
        names = {str(getattr(value, "__module__", None) or getattr(value, "__name__", "")) for value in values}
        waiting += sorted(other for other in names if other.partition(".")[0] in packages and other in sys.modules)
    return list(found.values())
