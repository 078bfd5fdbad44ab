"""Find, read and check registry.yaml, and add the file of ``--registry`` to it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from spa3d.errors import RegistryError, describe_unknown
from spa3d.registry.kinds import KINDS, SPECS, KindSpec
from spa3d.registry.located_yaml import Keys, read_located
from spa3d.registry.manifest import OPS, Defaults, Manifest, Named, Plugins, error_text
from spa3d.runtime.paths import file_problem

VARIABLE = "SPA3D_REGISTRY"
FILE = "registry.yaml"
SHOWN = 3
"""Clashes of an added file that are listed; a copy of registry.yaml has one for each of its rows."""

Names = Mapping[str, Collection[str]]
"""Names by kind of component."""


def find_manifest(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Path:
    """Find the registry.yaml: `path`, ``$SPA3D_REGISTRY``, the checkout's, or the packaged copy.

    Raises:
        RegistryError: the requested file does not exist.

    """
    requested = [("", path)] if path else []
    if environ.get(VARIABLE):
        requested.append((f"${VARIABLE} ", Path(environ[VARIABLE])))
    for origin, file in requested:
        problem = file_problem(file)
        if problem:
            raise RegistryError(f"{origin}{file}: {problem}; leave it out to use the registry.yaml that ships")
        return file
    package = Path(__file__).parents[1]
    checkout = package.parents[1]
    if package.parent.name == "core" and (checkout / "pyproject.toml").is_file() and (checkout / FILE).is_file():
        return checkout / FILE
    return package / FILE


def load_manifest(path: Path) -> Manifest:
    """Read and check a registry.yaml.

    Raises:
        RegistryError: with file and line of every error.

    """
    manifest = _read_manifest(path)
    _raise_errors(manifest, _Checker(manifest, _list_components(manifest), _list_names(manifest), "this file"))
    return manifest


def load_added(path: Path) -> Manifest:
    """Read the file of ``--registry``; `check_added` checks its names later.

    Raises:
        RegistryError: with file and line of every error.

    """
    problem = file_problem(path)
    if problem:
        raise RegistryError(f"--registry {path}: {problem}; it adds rows to registry.yaml and has the same keys")
    return _read_manifest(path)


def extend_manifest(manifest: Manifest, added: Manifest) -> Manifest:
    """Add the plugins, presets and defaults of `added` to `manifest`, but no component rows.

    A default of `added` replaces an existing one; a component or preset may not.

    Raises:
        RegistryError: a name of `added` is already taken.

    """
    _reject_taken_names(manifest, added)
    plugins = Plugins(
        load=(*manifest.plugins.load, *added.plugins.load), block=(*manifest.plugins.block, *added.plugins.block)
    )
    layered = manifest.model_copy(
        update={
            "plugins": plugins,
            "defaults": _merge_defaults(manifest.defaults, added.defaults),
            "presets": manifest.presets.join(added.presets.sections()),
        }
    )
    return layered.read_from(*manifest.files, *added.files)


def check_added(added: Manifest, components: Names, names: Names) -> None:
    """Check that an added file uses only existing names.

    Args:
        added: the result of `load_added`.
        components: names of all components, those of plugins included.
        names: names of all components and presets.

    Raises:
        RegistryError: with file and line of every unknown name.

    """
    _raise_errors(added, _Checker(added, components, names, ""))


def _read_manifest(path: Path) -> Manifest:
    located = read_located(path, RegistryError)
    try:
        return Manifest.model_validate(located.values).read_from(located)
    except ValidationError as error:
        errors = [(tuple(key for key in each["loc"] if key != "[key]"), error_text(each)) for each in error.errors()]
        raise RegistryError("\n".join(f"{located.location(*keys)}: {text}" for keys, text in errors)) from error


def _raise_errors(manifest: Manifest, checker: _Checker) -> None:
    errors = [f"{manifest.location(*keys)}: {error}" for keys, error in checker.errors()]
    if errors:
        raise RegistryError("\n".join(errors))


def _reject_taken_names(manifest: Manifest, added: Manifest) -> None:
    taken = _map_keys(manifest)
    errors = [
        f"{added.location(*keys)}: {manifest.where(*taken[named])} has {' '.join(named)} already; choose another name"
        for named, keys in _map_keys(added).items()
        if named in taken
    ]
    if len(errors) > SHOWN:
        file = added.file()
        more = (
            f"{file}: {len(errors) - SHOWN} more names are taken; {VARIABLE}={file} reads it instead of registry.yaml"
        )
        errors = [*errors[:SHOWN], more]
    if errors:
        raise RegistryError("\n".join(errors))


def _map_keys(manifest: Manifest) -> dict[Named, Keys]:
    """Map every component and preset to its keys."""
    rows = {(kind, name): ("components", kind, name) for kind, rows in manifest.components.items() for name in rows}
    sections = manifest.presets.sections()
    return {**rows, **{(each, name): ("presets", each, name) for each, rows in sections.items() for name in rows}}


def _merge_defaults(shipped: Defaults, added: Defaults) -> Defaults:
    """Override shipped defaults by those of `added`; backends are merged by device."""
    values = {name: getattr(added, name) for name in added.model_fields_set}
    if OPS in values:
        values[OPS] = {**shipped.backends, **added.backends}
    return shipped.model_copy(update=values)


def _list_components(manifest: Manifest) -> Names:
    return {kind: manifest.components.get(kind, {}) for kind in KINDS}


def _list_names(manifest: Manifest) -> Names:
    return {kind: {*manifest.components.get(kind, {}), *manifest.presets.of_kind(kind)} for kind in KINDS}


@dataclass(frozen=True)
class _Checker:
    """Checks a file for unknown and conflicting names; errors are pairs (keys, error).

    Attributes:
        manifest: the file.
        components: names of the components that its presets may configure.
        names: names that its run presets may use.
        scope: words for the file that these names are from; empty: from everywhere.

    """

    manifest: Manifest
    components: Names
    names: Names
    scope: str

    def errors(self) -> Iterator[tuple[Keys, str]]:
        for spec in SPECS:
            yield from self._preset_errors(spec)
            yield from self._run_preset_errors(spec)
        for device, names in self.manifest.defaults.backends.items():
            for index, name in enumerate(names):
                if name not in self.components[OPS]:
                    yield ("defaults", OPS, device, index), self._describe_unknown(OPS, name, self.components)

    def _preset_errors(self, spec: KindSpec) -> Iterator[tuple[Keys, str]]:
        kind = spec.name
        for name, preset in self.manifest.presets.of_kind(kind).items():
            if name in self.components[kind]:
                yield ("presets", kind, name), f"{kind} {name!r} is also a component; rename one of them"
            misfit = preset.find_forbidden_field(spec)
            if misfit:
                field, error = misfit
                yield ("presets", kind, name, field), error
            if preset.component not in self.components[kind]:
                yield (
                    ("presets", kind, name, "component"),
                    self._describe_unknown(kind, preset.component, self.components),
                )

    def _run_preset_errors(self, spec: KindSpec) -> Iterator[tuple[Keys, str]]:
        kind = spec.name
        for run, preset in self.manifest.presets.run.items():
            if kind in preset.settings:
                yield (
                    ("presets", "run", run, "settings", kind),
                    "a run preset chooses no component; use default_presets",
                )
            for bare, name in preset.default_presets.get(kind, {}).items():
                if name not in self.names[kind]:
                    keys = ("presets", "run", run, "default_presets", kind, bare)
                    yield keys, self._describe_unknown(kind, name, self.names)

    def _describe_unknown(self, kind: str, name: str, known: Names) -> str:
        if not self.scope:
            return describe_unknown(kind, name, sorted(known[kind]))
        among = f"among the components of {self.scope}" if known is self.components else f"in {self.scope}"
        return f"no {kind} {name!r} {among}"
