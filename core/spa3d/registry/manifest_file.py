"""Finds, reads and checks registry.yaml, and lays the file of ``--registry`` over it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from spa3d.errors import RegistryError
from spa3d.registry.fields import unknown
from spa3d.registry.kinds import KINDS, SPECS, KindSpec
from spa3d.registry.located_yaml import Keys, read_located
from spa3d.registry.manifest import OPS, Defaults, Manifest, Named, Plugins, error_text

VARIABLE = "SPA3D_REGISTRY"
FILE = "registry.yaml"
SHOWN = 3
"""Clashes of an added file that are told one by one; a copy of registry.yaml has one for each of its rows."""

Names = Mapping[str, Collection[str]]
"""Names by kind of component."""


def find_manifest(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Path:
    """The registry.yaml to use: `path`, ``$SPA3D_REGISTRY``, the checkout's, the packaged copy.

    Raises:
        RegistryError: where the file that was asked for is not there.

    """
    requested = [("", path)] if path else []
    if environ.get(VARIABLE):
        requested.append((f"${VARIABLE} ", Path(environ[VARIABLE])))
    for origin, file in requested:
        if not file.is_file():
            raise RegistryError(f"{origin}{file}: no such file; leave it out to use the registry.yaml that ships")
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
    manifest = _read(path)
    _refuse(manifest, _Checker(manifest, _components(manifest), _names(manifest), "this file"))
    return manifest


def load_added(path: Path) -> Manifest:
    """Read the file of ``--registry``; `check_added` checks the names in it once all components are known.

    Raises:
        RegistryError: with file and line of every error.

    """
    if not path.is_file():
        raise RegistryError(f"--registry {path}: no such file; it adds rows to registry.yaml and has the same keys")
    return _read(path)


def lay_over(manifest: Manifest, added: Manifest) -> Manifest:
    """`manifest` with the plugins, presets and defaults of `added`; its component rows stay with `added`.

    A default of `added` replaces the one there is; a component or preset does not.

    Raises:
        RegistryError: a name of `added` is taken.

    """
    _refuse_taken(manifest, added)
    plugins = Plugins(
        load=(*manifest.plugins.load, *added.plugins.load), block=(*manifest.plugins.block, *added.plugins.block)
    )
    layered = manifest.model_copy(
        update={
            "plugins": plugins,
            "defaults": _defaults(manifest.defaults, added.defaults),
            "presets": manifest.presets.joined(added.presets.sections()),
        }
    )
    return layered.read_from(*manifest.files, *added.files)


def check_added(added: Manifest, components: Names, names: Names) -> None:
    """Check that an added file names only what there is.

    Args:
        added: what `load_added` gave.
        components: names of all components, plugins' included.
        names: the same and the names of all presets.

    Raises:
        RegistryError: with file and line of every name that is not there.

    """
    _refuse(added, _Checker(added, components, names, ""))


def _read(path: Path) -> Manifest:
    located = read_located(path, RegistryError)
    try:
        return Manifest.model_validate(located.values).read_from(located)
    except ValidationError as error:
        errors = [(tuple(key for key in each["loc"] if key != "[key]"), error_text(each)) for each in error.errors()]
        raise RegistryError("\n".join(f"{located.location(*keys)}: {text}" for keys, text in errors)) from error


def _refuse(manifest: Manifest, checker: _Checker) -> None:
    errors = [f"{manifest.location(*keys)}: {error}" for keys, error in checker.errors()]
    if errors:
        raise RegistryError("\n".join(errors))


def _refuse_taken(manifest: Manifest, added: Manifest) -> None:
    there = _places(manifest)
    errors = [
        f"{added.location(*keys)}: {manifest.where(*there[named])} has {' '.join(named)} already; choose another name"
        for named, keys in _places(added).items()
        if named in there
    ]
    if len(errors) > SHOWN:
        file = added.file()
        more = (
            f"{file}: {len(errors) - SHOWN} more names are taken; {VARIABLE}={file} reads it instead of registry.yaml"
        )
        errors = [*errors[:SHOWN], more]
    if errors:
        raise RegistryError("\n".join(errors))


def _places(manifest: Manifest) -> dict[Named, Keys]:
    """The keys of every component and preset."""
    rows = {(kind, name): ("components", kind, name) for kind, rows in manifest.components.items() for name in rows}
    sections = manifest.presets.sections()
    return {**rows, **{(each, name): ("presets", each, name) for each, rows in sections.items() for name in rows}}


def _defaults(shipped: Defaults, added: Defaults) -> Defaults:
    """The defaults of `added` over those that ship; of backends, device by device."""
    given = {name: getattr(added, name) for name in added.model_fields_set}
    if OPS in given:
        given[OPS] = {**shipped.backends, **added.backends}
    return shipped.model_copy(update=given)


def _components(manifest: Manifest) -> Names:
    return {kind: manifest.components.get(kind, {}) for kind in KINDS}


def _names(manifest: Manifest) -> Names:
    return {kind: {*manifest.components.get(kind, {}), *manifest.presets.of(kind)} for kind in KINDS}


@dataclass(frozen=True)
class _Checker:
    """Finds what does not fit together in a file, as (keys, error).

    Attributes:
        manifest: the file.
        components: names of the components that its presets may set up.
        names: names that its run presets may give.
        scope: where these names stand, in words; empty: everywhere.

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
            for number, name in enumerate(names):
                if name not in self.components[OPS]:
                    yield ("defaults", OPS, device, number), self._missed(OPS, name, self.components)

    def _preset_errors(self, spec: KindSpec) -> Iterator[tuple[Keys, str]]:
        kind = spec.name
        for name, preset in self.manifest.presets.of(kind).items():
            if name in self.components[kind]:
                yield ("presets", kind, name), f"{kind} {name!r} is also a component; rename one of them"
            misfit = preset.misfit(spec)
            if misfit:
                field, error = misfit
                yield ("presets", kind, name, field), error
            if preset.component not in self.components[kind]:
                yield ("presets", kind, name, "component"), self._missed(kind, preset.component, self.components)

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
                    yield keys, self._missed(kind, name, self.names)

    def _missed(self, kind: str, name: str, there: Names) -> str:
        if not self.scope:
            return unknown(kind, name, sorted(there[kind]))
        among = f"among the components of {self.scope}" if there is self.components else f"in {self.scope}"
        return f"no {kind} {name!r} {among}"
