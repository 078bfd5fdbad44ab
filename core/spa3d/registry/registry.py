"""The registry: looks up components and presets by kind and name, and imports their classes."""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spa3d.errors import PluginError, RegistryError, contain_exit, describe_unknown
from spa3d.registry.component import Component, Preset
from spa3d.registry.kinds import KINDS, KindSpec, kind_spec
from spa3d.registry.manifest import Manifest, Named, PresetRow
from spa3d.registry.manifest_file import FILE, check_added, extend_manifest, find_manifest, load_added, load_manifest
from spa3d.registry.plugins import BrokenPlugin, Origin, Plugin, load_plugins, shipped_origin
from spa3d.registry.requirements import install_hint, missing_program, missing_requirements


@dataclass(frozen=True)
class ResolvedName:
    """A resolved name.

    Attributes:
        component: the row of the component.
        preset: the requested preset, or the run preset's default for a component's name; None if there is none.
        config: the preset's values for the component's Config.

    """

    component: Component
    preset: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)


class Registry:
    """All components and presets that can be chosen; immutable, built by `load_registry`."""

    def __init__(self, manifest: Manifest, plugins: Sequence[Plugin], broken: Sequence[BrokenPlugin]) -> None:
        self.manifest = manifest
        self.plugins = tuple(plugins)
        self._rows: dict[Named, Component] = {}
        self._origins: dict[Named, Origin] = {}
        self._preset_origins: dict[Named, Origin] = {}
        clashes: list[str] = []
        for plugin in self.plugins:
            for row in plugin.rows:
                clashes += self._add(row, plugin.origin)
        orphans: list[BrokenPlugin] = []
        for plugin in self.plugins:
            for preset in plugin.presets:
                clashes += self._add_preset(preset, plugin.origin, orphans)
        self.broken = (*broken, *orphans)
        self.clashes = tuple(clashes)
        requested = [orphan for orphan in orphans if orphan.origin.is_explicit]
        if requested and not clashes:  # a clash can be the reason that the component is missing
            raise PluginError("\n".join(f"--plugin {orphan.origin.plugin}: {orphan.cause}" for orphan in requested))

    def _add(self, row: Component, origin: Origin) -> Iterable[str]:
        """Add a row; a name that is taken stays with its first owner, and the clash is returned."""
        key = (row.kind, row.name)
        if key in self._rows:
            owners = " and ".join(sorted((self._origins[key].owner, origin.owner)))
            yield f"{row.kind} {row.name!r} is brought by {owners}; {KEEP_ONE}"
        elif row.name in self.manifest.presets.of_kind(row.kind):
            where = self.manifest.location("presets", *key)
            yield f"{row.kind} {row.name!r} of {origin.owner} has the name of a preset ({where}); rename the preset"
        else:
            self._rows[key], self._origins[key] = row, origin

    def _add_preset(self, preset: Preset, origin: Origin, orphans: list[BrokenPlugin]) -> Iterable[str]:
        """Add a plugin's preset; without its component it goes into `orphans` instead."""
        key = (preset.kind, preset.name)
        owner = self._preset_origins.get(key) or self._origins.get(key)
        if owner or preset.name in self.manifest.presets.of_kind(preset.kind):
            owner_name = owner.owner if owner else self.manifest.where("presets", *key)
            owners = " and ".join(sorted((owner_name, origin.owner)))
            yield f"{preset.kind} {preset.name!r} is brought by {owners}; {KEEP_ONE}"
        elif (preset.kind, preset.component) not in self._rows:
            error = describe_unknown(preset.kind, preset.component, [row.name for row in self.components(preset.kind)])
            cause = f"preset {preset.name!r} sets up a component that is not there: {error}"
            orphans.append(BrokenPlugin(origin, cause))
        else:
            self._preset_origins[key] = origin
            self.manifest = self.manifest.with_presets({key: PresetRow.from_preset(preset)}, {key: origin.owner})

    def components(self, kind: str) -> list[Component]:
        """The components of `kind`, by name."""
        return [self._rows[key] for key in sorted(self._rows) if key[0] == self._check_kind(kind)]

    def names(self, kind: str) -> list[str]:
        """Names of all components and presets of `kind`, sorted."""
        return sorted([row.name for row in self.components(kind)] + list(self.manifest.presets.of_kind(kind)))

    def get(self, kind: str, name: str) -> Component:
        """Look up the component called `name`, or the component of the preset of that name.

        Raises:
            RegistryError: the name is unknown; the message lists similar and all names.

        """
        return self.resolve(kind, name).component

    def resolve(self, kind: str, name: str, *, run_preset: str | None = None) -> ResolvedName:
        """Resolve a name; a run preset may replace a component's name by a default preset of it.

        Raises:
            RegistryError: the kind, name or run preset is unknown.

        """
        presets = self.manifest.presets.of_kind(self._check_kind(kind))
        if run_preset is not None:
            if run_preset not in self.manifest.presets.run:
                raise RegistryError(
                    describe_missing("run preset", run_preset, self.manifest.presets.run, "tools/list run")
                )
            name = self.manifest.presets.run[run_preset].default_presets.get(kind, {}).get(name, name)
        if name in presets:
            preset = presets[name]
            return ResolvedName(self._find_row(kind, preset.component), name, preset.config)
        return ResolvedName(self._find_row(kind, name))

    def origin(self, component: Component) -> Origin:
        """The origin of `component`."""
        return self._origins[component.kind, component.name]

    def preset_origin(self, section: str, name: str) -> Origin:
        """The origin of a preset; `section` is a kind, ``llm``, ``run`` or ``compare``."""
        if (section, name) in self._preset_origins:
            return self._preset_origins[section, name]
        file = self.manifest.file("presets", section, name)
        return shipped_origin(FILE) if file == self.manifest.files[0].path else Origin(str(file))

    def target(self, component: Component) -> type[Any]:
        """Import the class of a component.

        Raises:
            PluginError: a requirement is missing, the class cannot be imported, or it violates the contract of its
                kind.

        """
        what = f"{component.kind} {component.name!r} ({self.origin(component)})"
        missing = self.describe_unmet(component)
        if missing:
            raise PluginError(f"{what} {missing}; {install_hint(component)}")
        module, _, attribute = component.target.partition(":")
        try:
            with contain_exit():
                target = getattr(importlib.import_module(module), attribute)
        except Exception as cause:
            raise PluginError(
                f"{what}: {component.target} cannot be imported: {type(cause).__name__}: {cause}"
            ) from cause
        error = _check_contract(kind_spec(component.kind), target)
        if error:
            raise PluginError(f"{what}: {component.target} {error}")
        return target

    def describe_unmet(self, component: Component) -> str:
        """Describe missing requirements of `component` without importing it; empty if none."""
        missing = missing_requirements(component)
        if missing:
            return f"needs {', '.join(missing)}"
        return missing_program(component.programs) if component.programs else ""

    def _find_row(self, kind: str, name: str) -> Component:
        if (kind, name) in self._rows:
            return self._rows[kind, name]
        message = describe_missing(kind, name, self.names(kind), f"tools/list {kind}")
        if self.broken:
            plugins = ", ".join(f"{plugin.origin} ({plugin.cause})" for plugin in self.broken)
            message += f"; plugins that did not load and may have brought it: {plugins}"
        raise RegistryError(message)

    def _check_kind(self, kind: str) -> str:
        if kind not in KINDS:
            raise RegistryError(describe_missing("kind", kind, KINDS, "tools/list"))
        return kind


KEEP_ONE = (
    "uninstall one of them or leave it out: plugins.block in registry.yaml, SPA3D_PLUGINS, no --plugin or --registry"
)


def shipped_registry(path: Path | None = None) -> Registry:
    """Make a registry of the rows in registry.yaml itself, without loading plugins."""
    manifest = load_manifest(find_manifest(path))
    return Registry(manifest, [Plugin(shipped_origin(FILE), tuple(manifest.rows()))], [])


def open_registry(
    path: Path | None = None,
    *,
    added: str | Path | None = None,
    plugins: Sequence[str] = (),
    environ: Mapping[str, str] = os.environ,
) -> Registry:
    """Open the registry for listing, even if names clash; `load_registry` raises instead."""
    manifest = load_manifest(find_manifest(path, environ))
    if not added:
        return Registry(manifest, *load_plugins(manifest, plugins, environ))
    more = load_added(Path(added))
    manifest = extend_manifest(manifest, more)
    loaded, broken = load_plugins(manifest, plugins, environ)
    registry = Registry(manifest, [*loaded, Plugin(Origin(str(added)), tuple(more.rows()))], broken)
    if not registry.clashes:
        components = {kind: [row.name for row in registry.components(kind)] for kind in KINDS}
        check_added(more, components, {kind: registry.names(kind) for kind in KINDS})
    return registry


def load_registry(
    path: Path | None = None,
    *,
    added: str | Path | None = None,
    plugins: Sequence[str] = (),
    environ: Mapping[str, str] = os.environ,
) -> Registry:
    """Read registry.yaml, load the plugins and collect their components; calls share no state.

    Args:
        path: the registry.yaml; None: ``$SPA3D_REGISTRY``, that of the checkout, or that of the package.
        added: a file with the same keys, whose rows are added.
        plugins: unpackaged plugins, each a file or a module.
        environ: environment with ``SPA3D_REGISTRY`` and ``SPA3D_PLUGINS``.

    Raises:
        RegistryError: a file has errors, or a name is defined twice.
        PluginError: one of `plugins` cannot be loaded.

    """
    registry = open_registry(path, added=added, plugins=plugins, environ=environ)
    if registry.clashes:
        raise RegistryError("\n".join(registry.clashes))
    return registry


def describe_missing(what: str, name: str, there: Iterable[str], command: str) -> str:
    """Describe an unknown name: similar names, all names, and the command that lists them."""
    return f"{describe_unknown(what, name, sorted(there))} (see {command})"


def import_contract(spec: KindSpec) -> type[Any]:
    """Import the class that every component of a kind derives from."""
    module, _, name = spec.contract.partition(":")
    contract: type[Any] = getattr(importlib.import_module(module), name)
    return contract


def _check_contract(spec: KindSpec, target: Any) -> str:
    """Describe how a target violates the contract of its kind; empty if it does not."""
    contract, name = import_contract(spec), spec.contract_name
    if not isinstance(target, type) or not issubclass(target, contract):
        return f"is no subclass of spa3d.{name}"
    if inspect.isabstract(target):
        missing = sorted(getattr(target, "__abstractmethods__", ()))
        return f"leaves out {', '.join(missing)} of spa3d.{name}"
    config = getattr(target, "Config", None)
    if not isinstance(config, type) or not issubclass(config, contract.Config):
        return f"has a Config that is no subclass of spa3d.{contract.Config.__name__}"
    for setting in spec.reserved_names:
        if setting in getattr(config, "model_fields", ()):
            return f"has a setting called {setting}, which is the run's own word for where weights come from; rename it"
    return ""
