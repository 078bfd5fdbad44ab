"""Rows that register components and presets: plain data, so that listing imports nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NAME = re.compile(r"[0-9]*[a-z][a-z0-9-]*")


@dataclass(frozen=True)
class Component:
    """One named component of one kind.

    Attributes:
        kind: one of ``spa3d.registry.kinds.KINDS``.
        name: value of the flag; ``[0-9]*[a-z][a-z0-9-]*``.
        target: ``"module:Class"``; imported only when the component is chosen. The class has a pydantic model
            ``Config``.
        summary: one line for the list.
        requires: import names of the packages that the target needs.
        source: paper or repository that it follows.
        license: SPDX name of the license of the code or weights that it derives from.
        programs: executables, at least one of which must be on the ``PATH``. ``$CXX`` stands for the program in that
            variable; if the variable is set, no other program counts.
        install: how to install the requirements, if ``pip install`` of the same names is not enough.

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
    """Published weights of a preset, named in messages and ``--why``, never downloaded.

    Attributes:
        file: name of the file.
        layout: layout of the weights in the file.
        url: where to get the file.
        license: SPDX name of the license of the weights.

    """

    file: str
    layout: str = ""
    url: str = ""
    license: str = ""


@dataclass(frozen=True)
class Preset:
    """One named configuration of a component, chosen by name like a component.

    Attributes:
        kind: kind of the component.
        name: value of the flag; ``[0-9]*[a-z][a-z0-9-]*``, different from all components and presets of its kind.
        component: name of the component that it configures; may come from another plugin.
        summary: one line for the list.
        config: values of fields of the component's ``Config``.
        points: values of the ``--points.…`` settings for an encoder's clouds.
        weights: published weights of an encoder that fit this configuration.

    """

    kind: str
    name: str
    component: str
    summary: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    points: Mapping[str, Any] = field(default_factory=dict)
    weights: Weights | None = None
