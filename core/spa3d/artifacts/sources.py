"""Source files that decide a result: modules and all that they import from their own packages."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec, resolve_name
from pathlib import Path
from types import ModuleType


def source_files(*modules: ModuleType) -> list[Path]:
    """Files of `modules` and of all that they import, directly or not, also inside functions.

    Followed are the top-level packages of `modules` and spa3d itself. Modules stand here as objects, so that a rename
    is an error and not another hash.
    """
    packages = {module.__name__.partition(".")[0] for module in modules} | {"spa3d"}
    found: dict[str, Path] = {}
    waiting = [module.__name__ for module in modules]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        module = sys.modules.get(name) or import_module(name)
        found[name] = Path(str(module.__file__))
        waiting += sorted(_imported(module, packages))
    return list(found.values())


def _imported(module: ModuleType, packages: set[str]) -> Iterator[str]:
    """Names of the modules of `packages` that `module` uses: those of its values, and those that it imports."""
    inside = f"{module.__name__}."
    for value in vars(module).values():
        if isinstance(value, ModuleType) and value.__name__.startswith(inside):
            continue  # a package has those of its modules that anybody imported as attributes
        name = str(getattr(value, "__module__", None) or getattr(value, "__name__", ""))
        if name.partition(".")[0] in packages and name in sys.modules:
            yield name
    package = str(getattr(module, "__package__", "") or "")
    for origin, name in _inner_imports(Path(str(module.__file__)), package):
        if origin.partition(".")[0] in packages:
            inner = f"{origin}.{name}"
            yield inner if name and _is_module(inner) else origin


@cache
def _inner_imports(path: Path, package: str) -> frozenset[tuple[str, str]]:
    """Modules that the functions of a source file import from, each with the name that they import or an empty one."""
    names: set[tuple[str, str]] = set()
    for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Import):
                names.update((alias.name, "") for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                origin = "." * node.level + (node.module or "")
                origin = resolve_name(origin, package) if node.level else origin
                names.update((origin, alias.name) for alias in node.names)
    return frozenset(names)


@cache
def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is no package
        return False
