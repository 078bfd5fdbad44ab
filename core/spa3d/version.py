"""The version of the installed distribution."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("spa3d")
except PackageNotFoundError:  # a bare clone on PYTHONPATH
    __version__ = "0+clone"
