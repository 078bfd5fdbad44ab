"""Requirements of components: missing modules and programs, and hints to install them."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from spa3d.registry.component import Component


def missing_requirements(component: Component) -> list[str]:
    """List the required import names that are not installed; imports nothing."""
    return [name for name in component.requires if not _is_installed(name.partition(".")[0])]


def install_hint(component: Component) -> str:
    """Tell how to install what `component` is missing."""
    packages = " ".join(name.replace("_", "-") for name in missing_requirements(component))
    if packages:
        return f"install with: {component.install}" if component.install else f"usually: pip install {packages}"
    return f"install one, or choose another {component.kind} (tools/list {component.kind})"


def missing_program(programs: Sequence[str]) -> str:
    """Describe the error if none of `programs` exists; a set ``$CXX`` is the only one tried."""
    for program in programs:
        command = os.environ.get(program[1:], "").strip() if program.startswith("$") else ""
        if command:
            return "" if _program_exists(command) else f"needs {program}, and {command!r} is not there"
    return "" if any(map(_program_exists, programs)) else f"needs one of {', '.join(programs)} on the PATH"


def _program_exists(command: str) -> bool:
    """Whether the program of a command exists; its arguments are ignored."""
    try:
        words = shlex.split(command)
    except ValueError:  # a quotation without an end
        return False
    return bool(words) and shutil.which(words[0]) is not None


def _is_installed(module: str) -> bool:
    if module in sys.modules:
        return sys.modules[module] is not None
    return find_spec(module) is not None
