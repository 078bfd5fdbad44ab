"""Errors name the component that they come from, and a component cannot end the program."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from spa3d.errors import DivergenceError, OtherProcessError, PluginError, SpaError, contain_exit, describe_unknown


class Leave(BaseException):
    """Neither an exception nor an exit."""


def leave(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(("error", "message"), [(SystemExit(0), "SystemExit: 0"), (Leave("bye"), "Leave: bye")])
def test_contain_exit_names_file_and_line(error: BaseException, message: str) -> None:
    line = leave.__code__.co_firstlineno + 1
    with pytest.raises(PluginError, match=rf"test_errors.py, line {line}, in leave: .*\({message}\)"), contain_exit():
        leave(error)


def test_contain_exit_names_who_called_the_standard_library() -> None:
    with pytest.raises(PluginError, match=rf"^{Path(__file__)}, line \d+, in test_.*SystemExit: 2"), contain_exit():
        argparse.ArgumentParser(prog="plugin").parse_args(["--nonsense"])


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OtherProcessError("first"), ValueError("a bug")])
def test_contain_exit_lets_others_pass(error: BaseException) -> None:
    with pytest.raises(type(error)), contain_exit():
        raise error


def test_plugin_error_of_a_component_names_class_and_file() -> None:
    assert str(PluginError.by(Leave(), "it left")) == f"{__name__}.Leave ({__file__}): it left"


def test_exit_codes_of_errors() -> None:
    assert (SpaError.exit_code, PluginError.exit_code, DivergenceError.exit_code) == (2, 2, 1)


def test_describe_unknown_lists_names_without_a_similar_one() -> None:
    assert describe_unknown("verb", "zzz", ["list", "run"]) == "no verb 'zzz'; possible: list, run"
    assert describe_unknown("judge", "zzz", []) == "no judge 'zzz'; possible: none"
