"""A good cloud, and its reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from spa3d.data.formats.contract import Cloud


@pytest.fixture
def table(make_table: Callable[..., Cloud]) -> Cloud:
    """A good cloud."""
    return make_table()


@pytest.fixture
def change(table: Cloud) -> Callable[..., Cloud]:
    """Make a copy of the good cloud with other points or colors, or functions of its own."""

    def make(**values: object) -> Cloud:
        return replace(table, **{name: value(getattr(table, name)) if callable(value) else value
                                 for name, value in values.items()})  # fmt: skip

    return make
