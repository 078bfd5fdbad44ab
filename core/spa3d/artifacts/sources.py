"""Source files behind a result: modules and all their imports from the same packages."""

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
    """List the files of `modules` and of all their direct and indirect imports.

    Imports inside functions count too. Only imports from spa3d and from the top-level packages of `modules` are
    followed. The arguments are module objects and not names, so that a renamed module is an error.
    """
    packages = {module.__name__.partition(".")[0] for module in modules} | {"spa3d"}
    paths: dict[str, Path] = {}
    waiting = [module.__name__ for module in modules]
    while waiting:
        name = waiting.pop()
        if name in paths:
            continue
        module = sys.modules.get(name) or import_module(name)
        paths[name] = Path(str(module.__file__))
        waiting += sorted(_find_imports(module, packages))
    return list(paths.values())


def _find_imports(module: ModuleType, packages: set[str]) -> Iterator[str]:
    """Names of modules of `packages` behind the values and the inner imports of `module`."""
    inside = f"{module.__name__}."
    for value in vars(module).values():
        if isinstance(value, ModuleType) and value.__name__.startswith(inside):
            continue  # a package has its submodules as attributes once any code has imported them
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
    """Imports inside the functions of a source file, as pairs of module and name (or "")."""
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
    except ModuleNotFoundError:  # its parent is not a package
        return False
