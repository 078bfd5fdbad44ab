"""Modules and programs that a component needs, and how to get those that are missing."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from spa3d.registry.component import Component


def missing_requirements(component: Component) -> list[str]:
    """The import names that `component` requires and that are not installed; imports nothing."""
    return [name for name in component.requires if not _installed(name.partition(".")[0])]


def install_hint(component: Component) -> str:
    """What to do about what `component` lacks."""
    packages = " ".join(name.replace("_", "-") for name in missing_requirements(component))
    if packages:
        return f"install with: {component.install}" if component.install else f"usually: pip install {packages}"
    return f"install one, or choose another {component.kind} (tools/list {component.kind})"


def missing_program(programs: Sequence[str]) -> str:
    """What is wrong where none of some programs can be started; a variable that is set (``$CXX``) has the say."""
    for program in programs:
        chosen = os.environ.get(program[1:], "").strip() if program.startswith("$") else ""
        if chosen:
            return "" if _starts(chosen) else f"needs {program}, and {chosen!r} is not there"
    return "" if any(map(_starts, programs)) else f"needs one of {', '.join(programs)} on the PATH"


def _starts(command: str) -> bool:
    """Whether the program of a command, arguments apart, is there."""
    try:
        words = shlex.split(command)
    except ValueError:  # a quotation without an end
        return False
    return bool(words) and shutil.which(words[0]) is not None


def _installed(module: str) -> bool:
    if module in sys.modules:
        return sys.modules[module] is not None
    return find_spec(module) is not None
