"""The row that makes a component known: plain data, so that listing imports nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

NAME = re.compile(r"[a-z][a-z0-9-]*")


@dataclass(frozen=True)
class Component:
    """One named component of one kind.

    Attributes:
        kind: one of ``spa3d.registry.kinds.KINDS``.
        name: what the user types after the flag; ``[a-z][a-z0-9-]*``.
        target: ``"module:Class"``; imported only when the component is chosen. The class carries its
            pydantic ``Config``.
        summary: one line for the list.
        requires: import names that must be there for the target to import.
        source: paper or repository it follows.
        license: SPDX name of the license of code or weights it derives from.
        programs: executables of which one must be on the ``PATH`` for the component to work; ``$CXX`` is the one
            that the variable names, and the only one that counts where it is set.
        install: how to get what it requires, where ``pip install`` of the same names would not do.

    """

    kind: str
    name: str
    target: str
    summary: str
    requires: tuple[str, ...] = field(default=())
    source: str = ""
    license: str = ""
    programs: tuple[str, ...] = ()
    install: str = ""
