"""The registry: names to classes, from registry.yaml and plugins; loaded on first use."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_LAZY = {
    "Registry": "registry",
    "available": "create",
    "create": "create",
    "load_registry": "registry",
    "open_registry": "registry",
}

__all__ = [*_LAZY]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
