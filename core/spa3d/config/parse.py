"""The two-phase parser: first the names, then every setting of what was named; all faults in one report.

Phase one (`spa3d.config.choices`) finds out what is chosen. Phase two (`spa3d.config.resolve`) imports the chosen
components and no others, fills in every setting and validates the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spa3d.config.choices import Request, read
from spa3d.config.resolve import fill
from spa3d.config.settings import RunConfig
from spa3d.registry.registry import Registry


@dataclass(frozen=True)
class Invocation:
    """A command line, understood."""

    config: RunConfig
    registry: Registry
    output: Path | None
    resume: bool
    dry_run: bool


def parse(argv: Sequence[str]) -> Invocation:
    """Understand the arguments of ``spa3d run``.

    Raises:
        ConfigError: every fault of flags and YAML, one line each.
        RegistryError: the registry itself cannot be used.
        PluginError: a ``--plugin`` cannot be loaded.

    """
    request = read(argv)
    return invocation(request, fill(request))


def invocation(request: Request, config: RunConfig) -> Invocation:
    """A request whose settings are filled."""
    typed = request.arguments
    output = typed.value("output")
    return Invocation(
        config,
        request.registry,
        output=Path(output) if output else None,
        resume=typed.has("resume"),
        dry_run=typed.has("dry-run"),
    )
