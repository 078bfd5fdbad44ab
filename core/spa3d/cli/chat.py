"""``spa3d chat``: a conversation with a model about a cloud, in the terminal.

Modules that import torch are imported inside functions, so that a wrong flag or file is refused at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spa3d.cli.console import error_console, output, page, print_meanings
from spa3d.cli.flags import (
    COLORS_FLAG,
    DECODING_FLAGS,
    MODEL_FLAGS,
    read_choice,
    read_decoding,
    read_model,
    scan_flags,
)
from spa3d.data.formats.read import read_cloud
from spa3d.errors import ConfigError

FLAGS = {
    "--blind": "show beside each answer what the model says without the cloud (/blind switches it)",
    **COLORS_FLAG,
    **DECODING_FLAGS,
    **MODEL_FLAGS,
}


def main(argv: Sequence[str]) -> int:
    """Talk with a model about a cloud, in the terminal."""
    arguments = scan_flags(argv, FLAGS)
    if arguments.has("help"):
        _print_usage()
        return 0
    model, decoding = read_model(arguments, "chat"), read_decoding(arguments)
    colors: Any = read_choice(arguments, "colors", ("0-1", "0-255"))
    arguments.errors += [f"{word!r} is not expected here; one model and one cloud" for word in arguments.words[2:]]
    if arguments.errors:
        raise ConfigError(arguments.errors)
    cloud = arguments.words[1] if len(arguments.words) > 1 else None
    if cloud is not None:
        read_cloud(cloud, colors=colors)
    from spa3d.cli.chat_output import ChatTerminal, read_lines
    from spa3d.inference.generation import Decoding
    from spa3d.inference.session import session

    loaded = session(model.pop("path"), **model)
    terminal = ChatTerminal(loaded, output(), Decoding(**decoding), colors=colors, blind=arguments.has("blind"))
    try:
        terminal.run(cloud, read_lines(output()))
    except KeyboardInterrupt:
        error_console().print()  # the terminal stands behind an unfinished line
        raise
    return 0


def _print_usage() -> None:
    from spa3d.cli.chat_output import COMMANDS

    console = page()
    console.print("usage: spa3d chat MODEL [CLOUD.npy] [FLAGS]\n", markup=False)
    print_meanings(console, FLAGS)
    console.print("\nIn the conversation:\n")
    print_meanings(console, COMMANDS)
