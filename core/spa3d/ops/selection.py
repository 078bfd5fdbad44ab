"""Which backend does the point operations: the one asked for, or the first that is there.

registry.yaml says what ``auto`` tries on each type of device (``defaults.ops``); the reference takes every other.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator
from functools import cache
from typing import TYPE_CHECKING, cast

from spa3d.errors import ConfigError, PluginError
from spa3d.registry.registry import Registry, load_registry

if TYPE_CHECKING:  # it brings torch, and which backends there are can be told without
    from spa3d.contracts.ops import Ops

REFERENCE = "torch"


class SlowerBackend(UserWarning):
    """A faster backend could be had; the results are the same."""


def takes(backend: Ops, device: str) -> bool:
    """Whether `backend` works on tensors of this type of device."""
    return not backend.devices or device in backend.devices


def candidates(registry: Registry, device: str) -> list[str]:
    """What ``auto`` tries on a type of device, the fastest first and the reference last."""
    return list(dict.fromkeys([*registry.manifest.defaults.ops.get(device, ()), REFERENCE]))


def first_there(registry: Registry, device: str, *, broken: Collection[str] = ()) -> str:
    """What ``auto`` takes, as far as that can be told without importing anything; not what was found `broken`."""
    names = [name for name in candidates(registry, device) if name not in broken]
    return next((name for name in names if not registry.unmet(registry.get("ops", name))), REFERENCE)


@cache
def automatic(device: str) -> Ops:
    """The fastest backend for a type of device; if that is not the one for it, a `SlowerBackend` warning says why."""
    return _first_working(load_registry(), device)


def backends_for(asked: str, device: str, registry: Registry) -> tuple[Ops, ...]:
    """The backends of a run: what was asked for does the work on `device`, ``auto`` the rest (data on the CPU).

    Args:
        asked: ``auto`` or a backend's name.
        device: type of the run's device.
        registry: what can be chosen.

    Raises:
        PluginError: the backend asked for cannot work here.
        ConfigError: it does not take the run's device.

    """
    chosen = tuple(_asked(asked, device, registry))
    return chosen if any(takes(each, "cpu") for each in chosen) else (*chosen, _first_working(registry, "cpu"))


def _asked(name: str, device: str, registry: Registry) -> Iterator[Ops]:
    if name == "auto":
        yield _first_working(registry, device)
        return
    backend = built(registry, name)
    if not takes(backend, device):
        raise ConfigError(
            f"--ops {name}: it works on {', '.join(backend.devices)} and this run is on {device}; "
            f"take --ops auto or one of: {', '.join(candidates(registry, device))}"
        )
    yield backend


def _first_working(registry: Registry, device: str) -> Ops:
    faults = []
    for name in candidates(registry, device):
        try:
            backend = built(registry, name)
        except PluginError as fault:
            faults.append(str(fault).partition("\n")[0])  # what a compiler says is for those who insist on it
            continue
        if faults and _speaks():
            text = f"point operations on {device} are done by {name}, more slowly, because {'; '.join(faults)}"
            # The place it comes from is this line, whoever asked: Python says it once.
            warnings.warn(text, SlowerBackend, stacklevel=1)
        return backend
    raise PluginError(f"no backend for point operations on {device}: {'; '.join(faults)}")


def _speaks() -> bool:
    """Whether this process says what many would say alike: of the workers of a DataLoader the first one does."""
    from torch.utils.data import get_worker_info

    worker = get_worker_info()
    return worker is None or worker.id == 0


def built(registry: Registry, name: str) -> Ops:
    """The backend called `name`.

    Raises:
        PluginError: it cannot be imported, or it does not come up on this machine, in whatever way it fails.

    """
    component = registry.get("ops", name)
    target = registry.target(component)
    try:
        return cast("Ops", target())
    except PluginError:
        raise
    except Exception as fault:
        owner = registry.origin(component)
        raise PluginError(f"ops {name!r} ({owner}) does not come up: {type(fault).__name__}: {fault}") from fault
