"""Command line ``spa3d VERB``; each verb is a module here with ``main(argv) -> int``.

A hyphen in a verb is an underscore in the name of its module.

Exit codes: 0 success; 1 a component is broken (``list --check``), a cell failed (``compare``) or a run diverged; 2 an
input error, reported in one message; 130 interrupted. Any other error is a bug and keeps its traceback.
"""

from __future__ import annotations

import ast
import errno
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pkgutil import get_data, iter_modules

from spa3d.cli.console import error_console, escape_text, output, page, print_meanings, print_sentence, show_warning
from spa3d.errors import DataError, SpaError, describe_unknown, shorten_fault
from spa3d.version import __version__

Verb = Callable[[Sequence[str]], int]
FAULT, INTERRUPTED = 2, 130
MACHINE_ERRORS = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EIO),
    *(errno.ENOSPC, errno.EDQUOT, errno.EMFILE),
}
"""Errors of files that are the machine's or the path's fault, wherever they are raised."""
SHARED = {"console", "doctor_hint", "evaluate_flags", "flags", "help"}
"""Modules of this package that are not verbs; modules ``VERB_output`` are not verbs either."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the verb at the start of `argv` (default: ``sys.argv``); return the exit code."""
    words = [*(sys.argv[1:] if argv is None else argv)]
    if not words or words[0] in ("-h", "--help"):
        _print_verbs()
        return 0
    if words[0] == "--version":
        output().print(escape_text(f"spa3d {__version__}"))
        return 0
    try:
        with warnings.catch_warnings():
            warnings.showwarning = show_warning
            return _verb(words[0])(words[1:])
    except SpaError as error:
        if "--debug" in words:
            raise
        _print_faults(str(error))
        _print_hint(error, words)
        return error.exit_code
    except OSError as error:
        if "--debug" in words or error.errno not in MACHINE_ERRORS:
            raise
        _print_faults(f"{error.filename or 'a file'}: {error.strerror}")
        return FAULT
    except KeyboardInterrupt:
        error_console().print("interrupted")
        return INTERRUPTED


def _print_faults(message: str) -> None:
    """Print one error per line of `message`."""
    for line in message.splitlines():
        text = escape_text("error: ", "bold red") + escape_text(shorten_fault(line))
        print_sentence(error_console(), text)


def _print_hint(error: SpaError, words: Sequence[str]) -> None:
    """Name the doctor's command that shows more about bad data."""
    if isinstance(error, DataError) and words[0] != "doctor":
        from spa3d.cli.doctor_hint import find_doctor_command

        command = find_doctor_command(error, words)
        if command:
            print_sentence(error_console(), escape_text(f"{command} shows more"))


def _verb(name: str) -> Verb:
    verbs = [known for known, _ in _list_verbs()]
    if name not in verbs:
        raise SpaError(f"spa3d {name}: {describe_unknown('verb', name, verbs)}")
    verb: Verb = import_module(f"{__name__}.{name.replace('-', '_')}").main
    return verb


def _list_verbs() -> Iterator[tuple[str, str]]:
    """List the verbs, each with the first line of its ``main`` docstring; imports none of them."""
    for module in iter_modules(__path__):
        if module.name not in SHARED and not module.name.endswith("_output"):
            nodes = ast.parse(get_data(__name__, f"{module.name}.py") or b"").body
            mains = (node for node in nodes if isinstance(node, ast.FunctionDef) and node.name == "main")
            docstring = "".join(ast.get_docstring(main) or "" for main in mains)
            yield module.name.replace("_", "-"), docstring.partition("\n")[0]


def _print_verbs() -> None:
    console = page()
    console.print(f"spa3d {__version__}: post-training and honest measurement of 3D multimodal LLMs\n")
    console.print("usage: spa3d VERB …      spa3d VERB --help shows its flags\n", markup=False)
    print_meanings(console, dict(_list_verbs()))
