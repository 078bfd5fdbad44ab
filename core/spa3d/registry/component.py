"""Rows that make components and presets known: plain data, so that listing imports nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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


@dataclass(frozen=True)
class Weights:
    """Published weights of a preset. Nothing is downloaded: messages and ``--why`` name them.

    Attributes:
        file: name of the file.
        layout: how the weights lie in it.
        url: where it is had.
        license: SPDX name of the license of the weights.

    """

    file: str
    layout: str = ""
    url: str = ""
    license: str = ""


@dataclass(frozen=True)
class Preset:
    """One named configuration of a component, chosen by name as a component is.

    Attributes:
        kind: of the component.
        name: what the user types after the flag; ``[a-z][a-z0-9-]*``, unlike any component or preset of its kind.
        component: name of the component it sets up; another plugin may bring it.
        summary: one line for the list.
        config: values of fields of the component's ``Config``.
        points: settings ``--points.…`` of a run that an encoder's clouds should have.
        weights: published weights of an encoder that fit this configuration.

    """

    kind: str
    name: str
    component: str
    summary: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    points: Mapping[str, Any] = field(default_factory=dict)
    weights: Weights | None = None
