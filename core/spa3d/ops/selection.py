"""Selection of the backend of point operations: the requested one, or the first that works.

``defaults.ops`` of registry.yaml lists what ``auto`` tries on each type of device; the reference supports all others.
A run selects from its own registry. A call outside of a run selects from registry.yaml and loads no plugin.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

from spa3d.errors import ConfigError, PluginError
from spa3d.registry.manifest_file import find_manifest
from spa3d.registry.registry import Registry, shipped_registry

if TYPE_CHECKING:  # the contract imports torch; the names of backends are known without it
    from spa3d.contracts.ops import Ops

REFERENCE = "torch"


class SlowerBackend(UserWarning):
    """A slower backend is used than possible; the results are the same."""


def takes(backend: Ops, device: str) -> bool:
    """Whether `backend` supports this type of device."""
    return not backend.devices or device in backend.devices


def candidates(registry: Registry, device: str) -> list[str]:
    """Backends that ``auto`` tries on a type of device: fastest first, reference last."""
    return list(dict.fromkeys([*registry.manifest.defaults.backends.get(device, ()), REFERENCE]))


def find_available(registry: Registry, device: str, *, broken: Collection[str] = ()) -> str:
    """Name of the backend that ``auto`` takes, without importing any; `broken` ones are skipped."""
    names = [name for name in candidates(registry, device) if name not in broken]
    return next((name for name in names if not registry.describe_unmet(registry.get("ops", name))), REFERENCE)


def default_backend(device: str, path: Path | None = None) -> Ops:
    """The fastest shipped backend for a type of device; made once per registry file and device.

    No plugin is loaded: the rows come from registry.yaml, and a target is imported by its name.

    Args:
        device: type of the device.
        path: the registry.yaml; None: the one of ``$SPA3D_REGISTRY``, the checkout, or the package.

    Warns:
        SlowerBackend: a faster one does not work here; the text says why.

    """
    return _shipped_backend(find_manifest(path), device)


@cache
def _shipped_backend(path: Path, device: str) -> Ops:
    return _select_fastest(shipped_registry(path), device)


def backends_for(name: str, device: str, registry: Registry) -> tuple[Ops, ...]:
    """Backends of a run: `name` for `device`, and the one of ``auto`` for data on the CPU.

    Args:
        name: ``auto`` or a backend's name.
        device: type of the run's device.
        registry: source of the backends.

    Raises:
        PluginError: the requested backend does not work here.
        ConfigError: it does not support the run's device.

    """
    backend = _select_fastest(registry, device) if name == "auto" else _require_backend(registry, name, device)
    return (backend,) if takes(backend, "cpu") else (backend, _select_fastest(registry, "cpu"))


def _require_backend(registry: Registry, name: str, device: str) -> Ops:
    """Make backend `name`; raises `ConfigError` if it does not support the device."""
    backend = create_backend(registry, name)
    if not takes(backend, device):
        raise ConfigError(
            f"--ops {name}: it works on {', '.join(backend.devices)} and this run is on {device}; "
            f"take --ops auto or one of: {', '.join(candidates(registry, device))}"
        )
    return backend


def _select_fastest(registry: Registry, device: str) -> Ops:
    """Make the first working candidate; a warning names faster ones that failed, and why."""
    errors: list[str] = []
    for name in candidates(registry, device):
        try:
            backend = create_backend(registry, name)
        except PluginError as error:
            errors.append(str(error).partition("\n")[0])  # without the compiler's output
            continue
        if errors and _is_first_worker():
            text = f"point operations on {device} are done by {name}, more slowly, because {'; '.join(errors)}"
            # The location of the warning is this line for every caller, so Python shows it once.
            warnings.warn(text, SlowerBackend, stacklevel=1)
        return backend
    raise PluginError(f"no backend for point operations on {device}: {'; '.join(errors)}")


def _is_first_worker() -> bool:
    """Whether this is the main process or the first DataLoader worker; others repeat no warning."""
    from torch.utils.data import get_worker_info

    worker = get_worker_info()
    return worker is None or worker.id == 0


def create_backend(registry: Registry, name: str) -> Ops:
    """Make the backend `name`.

    Raises:
        PluginError: it cannot be imported or started on this machine.

    """
    component = registry.get("ops", name)
    target = registry.target(component)
    try:
        return cast("Ops", target())
    except PluginError:
        raise
    except Exception as error:
        owner = registry.origin(component)
        raise PluginError(f"ops {name!r} ({owner}) does not come up: {type(error).__name__}: {error}") from error
