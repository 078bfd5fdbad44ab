"""Find plugins and collect their rows; a broken plugin does not affect the others."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy
from pydantic import ValidationError

from spa3d.errors import PluginError, RegistryError, contain_exit
from spa3d.registry import hookspecs
from spa3d.registry.component import NAME, Component, Preset
from spa3d.registry.kinds import KINDS, kind_spec
from spa3d.registry.manifest import Manifest, PresetRow, Row, error_text
from spa3d.runtime.paths import file_problem
from spa3d.version import __version__

GROUP = "spa3d"
VARIABLE = "SPA3D_PLUGINS"


@dataclass(frozen=True)
class Origin:
    """Origin of components and presets.

    Attributes:
        plugin: entry-point name, module, or the file given with ``--plugin`` or ``--registry``.
        distribution: the installed distribution; empty for a file.
        version: its version.
        builtin: whether it is listed under ``plugins.load`` in registry.yaml.

    """

    plugin: str
    distribution: str = ""
    version: str = ""
    builtin: bool = False

    def __str__(self) -> str:
        return "built-in" if self.builtin else f"{self.distribution} {self.version}".strip() or self.plugin

    @property
    def is_explicit(self) -> bool:
        """Whether it was requested with ``--plugin`` or ``--registry``."""
        return not self.distribution

    @property
    def owner(self) -> str:
        """Distribution, version and name of the plugin; the file for one given as a file."""
        if self.is_explicit:
            return self.plugin
        return f"{self.distribution} {self.version} ({'built-in' if self.builtin else f'entry point {self.plugin}'})"


def shipped_origin(plugin: str) -> Origin:
    """Make the origin of a plugin that is part of spa3d."""
    return Origin(plugin, "spa3d", __version__, builtin=True)


@dataclass(frozen=True)
class Plugin:
    """A loaded plugin: the rows of its components and presets, and the cost of loading."""

    origin: Origin
    rows: tuple[Component, ...]
    seconds: float = 0.0
    imports_torch: bool = False
    presets: tuple[Preset, ...] = ()


@dataclass(frozen=True)
class BrokenPlugin:
    """A plugin that did not load, or has a preset of an unknown component, and the cause."""

    origin: Origin
    cause: str


class _BrokenError(Exception):
    """An error of a plugin, described in words."""


def load_plugins(
    manifest: Manifest, requested: Sequence[str], environ: Mapping[str, str]
) -> tuple[list[Plugin], list[BrokenPlugin]]:
    """Load built-in plugins, installed ones selected by `environ`, and those in `requested`.

    Raises:
        PluginError: a requested plugin cannot be loaded. Installed ones that cannot be loaded are returned as broken.
        RegistryError: ``SPA3D_PLUGINS`` names an entry point that is not installed.

    """
    manager = pluggy.PluginManager("spa3d")
    manager.add_hookspecs(hookspecs)
    log = _LoadLog()
    plugins: dict[Origin, Any] = {}
    for origin, load in _list_sources(manifest, requested, environ):
        with log.entry(origin):
            plugin = load()
            if not manager.is_registered(plugin):
                _register(manager, plugin, origin)
                plugins[origin] = plugin
    for plugin, error in _unregister_invalid(manager):
        origin = next(origin for origin, known in plugins.items() if known is plugin)
        log.add_error(origin, error)
        del plugins[origin]
    loaded = []
    for origin, plugin in plugins.items():
        with log.entry(origin):
            loaded.append((origin, *_collect_rows(manager, plugin, manifest)))
    return [Plugin(origin, rows, *log.costs[origin], presets) for origin, rows, presets in loaded], log.broken


class _LoadLog:
    """Cost of each plugin (seconds, whether it imported torch), and the broken plugins."""

    def __init__(self) -> None:
        self.costs: dict[Origin, tuple[float, bool]] = {}
        self.broken: list[BrokenPlugin] = []

    @contextmanager
    def entry(self, origin: Origin) -> Iterator[None]:
        start, had_torch = time.perf_counter(), "torch" in sys.modules
        try:
            with contain_exit():
                yield
        except Exception as error:
            self.add_error(origin, error)
        seconds, imports_torch = self.costs.get(origin, (0.0, False))
        imports_torch |= "torch" in sys.modules and not had_torch
        self.costs[origin] = (seconds + time.perf_counter() - start, imports_torch)

    def add_error(self, origin: Origin, error: Exception) -> None:
        cause = " ".join(str(error).split())
        if not isinstance(error, _BrokenError | PluginError):
            cause = f"{type(error).__name__}: {cause}"
        if origin.is_explicit:
            raise PluginError(f"--plugin {origin.plugin}: {cause}") from error
        self.broken.append(BrokenPlugin(origin, cause))


def _list_sources(
    manifest: Manifest, requested: Sequence[str], environ: Mapping[str, str]
) -> Iterator[tuple[Origin, Callable[[], Any]]]:
    for module in manifest.plugins.load:
        if module not in manifest.plugins.block:
            yield shipped_origin(module), partial(importlib.import_module, module)
    for point in _select_points(entry_points(group=GROUP), environ):
        if point.name not in manifest.plugins.block:
            name, version = (point.dist.name, point.dist.version) if point.dist else ("unknown distribution", "")
            yield Origin(point.name, name, version), point.load
    for plugin in dict.fromkeys(requested):
        yield Origin(plugin), partial(_import_given, plugin)


def _select_points(points: Iterable[EntryPoint], environ: Mapping[str, str]) -> list[EntryPoint]:
    points = sorted(points, key=lambda point: point.name)
    if VARIABLE not in environ:
        return points
    names = [name.strip() for name in environ[VARIABLE].split(",") if name.strip()]
    installed = [point.name for point in points]
    unknown = [name for name in names if name not in installed]
    if unknown:
        there = ", ".join(installed) or "none"
        raise RegistryError(
            f"{VARIABLE} names {', '.join(map(repr, unknown))}, which no installed package offers; installed: {there}"
        )
    return [point for point in points if point.name in names]


def _import_given(plugin: str) -> ModuleType:
    """Import the module or file of ``--plugin``; a file becomes the module of its stem."""
    path = Path(plugin)
    if path.suffix != ".py" and len(path.parts) == 1:
        return importlib.import_module(plugin)
    problem = file_problem(path)
    if problem:
        raise _BrokenError(problem)
    path, name = path.resolve(), path.stem
    known = importlib.util.find_spec(name) if name.isidentifier() else None
    if known and known.origin and Path(known.origin).resolve() != path:
        raise _BrokenError(f"its name hides the module {name!r} ({known.origin}); rename the file")
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise _BrokenError("not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _register(manager: pluggy.PluginManager, plugin: Any, origin: Origin) -> None:
    # Entry points of two distributions may share a name, so pluggy is given both.
    manager.register(plugin, f"{origin.plugin} {origin.distribution}")
    if not manager.get_hookcallers(plugin):
        manager.unregister(plugin)
        raise _BrokenError("it has no hook: a plugin defines spa3d_components() under @spa3d.hookimpl")


def _unregister_invalid(manager: pluggy.PluginManager) -> Iterator[tuple[Any, pluggy.PluginValidationError]]:
    """Unregister plugins that have a hook without a specification, such as a misspelled one."""
    while True:
        try:
            manager.check_pending()
        except pluggy.PluginValidationError as error:
            manager.unregister(error.plugin)
            yield error.plugin, error
        else:
            return


def _collect_rows(
    manager: pluggy.PluginManager, plugin: Any, manifest: Manifest
) -> tuple[tuple[Component, ...], tuple[Preset, ...]]:
    """Collect the components and presets of a plugin."""
    others = [other for other in manager.get_plugins() if other is not plugin]
    answers = manager.subset_hook_caller("spa3d_components", remove_plugins=others)(manifest=manifest)
    rows = [row for answer in answers for row in answer]
    for row in rows:
        error = _check_row(row)
        if error:
            raise _BrokenError(error)
    components = tuple(row for row in rows if isinstance(row, Component))
    return components, tuple(row for row in rows if isinstance(row, Preset))


def _check_row(row: Any) -> str:
    if not isinstance(row, Component | Preset):
        return f"spa3d_components() yields {type(row).__name__}, not spa3d.Component or spa3d.Preset"
    what = "preset" if isinstance(row, Preset) else "component"
    if not isinstance(row.kind, str) or row.kind not in KINDS:
        return f"{what} {row.name!r} is of the unknown kind {row.kind!r}; kinds: {', '.join(KINDS)}"
    if not isinstance(row.name, str) or not NAME.fullmatch(row.name):
        return f"{row.kind} {row.name!r} is no name: lower-case letters, digits and hyphens, a letter before any hyphen"
    if isinstance(row, Preset):
        return _check_preset(row)
    return _check_component(row)


def _check_component(row: Component) -> str:
    """Check a plugin's component like a row of registry.yaml; empty if it is valid."""
    values = {name: getattr(row, name) for name in Row.model_fields}
    try:
        Row.model_validate(values)
    except ValidationError as error:
        return _locate(error, f"{row.kind} {row.name!r}: ")
    module, _, attribute = row.target.partition(":")
    if not module or not attribute:
        return f"{row.kind} {row.name!r} has the target {row.target!r}; a target is 'module:Class'"
    return ""


def _check_preset(preset: Preset) -> str:
    """Check a plugin's preset like a row of registry.yaml; empty if it is valid."""
    location = f"presets.{preset.kind}.{preset.name}"
    try:
        misfit = PresetRow.from_preset(preset).find_forbidden_field(kind_spec(preset.kind))
    except ValidationError as error:
        return _locate(error, f"{location}.")
    return f"{location}.{': '.join(misfit)}" if misfit else ""


def _locate(error: ValidationError, start: str) -> str:
    """Describe the errors of a row: `start`, the field, and what is wrong with it."""
    errors = ((".".join(map(str, each["loc"])), error_text(each)) for each in error.errors())
    return "; ".join(f"{start}{field}: {text}" for field, text in errors)
