"""The conversation of ``spa3d chat``: questions, commands, answers as they grow."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from spa3d.cli.console import escape_text, print_meanings, print_sentence
from spa3d.data.cloud_checks import Colors
from spa3d.data.formats.read import read_cloud
from spa3d.errors import DataError, describe_unknown, shorten_fault
from spa3d.rendering.numbers import format_count, format_signed

if TYPE_CHECKING:
    from spa3d.inference.answers import Answer
    from spa3d.inference.generation import Decoding
    from spa3d.inference.session import Session

PROMPT = "> "
COMMANDS = {
    "/cloud FILE": "show another cloud, and begin a new conversation",
    "/new": "begin a new conversation about the same cloud",
    "/blind": "show what the model says without the cloud, or stop showing it",
    "/help": "list these commands",
    "/quit": "end (also Ctrl-D)",
}


def read_lines(console: Console) -> Iterator[str]:
    """Read lines from the terminal, or from a pipe; the lines of a pipe are printed."""
    if sys.stdin.isatty():
        with suppress(ImportError):
            import readline as readline  # lets input() edit a line and recall earlier ones
        with suppress(EOFError):
            while True:
                yield input(PROMPT)
        console.print()
        return
    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(errors="backslashreplace")
    for line in sys.stdin:
        console.print(escape_text(f"{PROMPT}{line.rstrip()}", "dim"), soft_wrap=True)
        yield line


class ChatTerminal:
    """A conversation in the terminal.

    Args:
        session: of the model.
        console: where answers go.
        decoding: of the answers.
        colors: range of the colors in files of clouds.
        blind: whether each answer is followed by what the model says without the cloud.

    """

    def __init__(
        self, session: Session, console: Console, decoding: Decoding, *, colors: Colors = "0-1", blind: bool = False
    ) -> None:
        self.session, self.console, self.decoding = session, console, decoding
        self.colors, self.blind = colors, blind
        self.chat = session.chat(None)

    def run(self, cloud: str | None, lines: Iterable[str]) -> None:
        """Answer `lines` until they end, or one of them is ``/quit``.

        Raises:
            DataError: the file `cloud` cannot be used; later ones are refused in the conversation.

        """
        if cloud is None:
            self._say("no cloud is shown; /cloud FILE shows one, /help lists the commands")
        else:
            self._show_cloud(cloud)
        for line in map(str.strip, lines):
            command, _, rest = line.partition(" ")
            if command == "/quit":
                return
            if not line:
                continue
            try:
                self._obey(command, rest.strip()) if line.startswith("/") else self._ask(line)
            except DataError as error:
                text = escape_text("error: ", "bold red") + escape_text(shorten_fault(str(error)))
                print_sentence(self.console, text)

    def _obey(self, command: str, rest: str) -> None:
        """Execute a command."""
        known = [entry.partition(" ")[0] for entry in COMMANDS]
        if command not in known:
            raise DataError(describe_unknown("command", command, known))
        if bool(rest) != (command == "/cloud"):
            raise DataError("/cloud needs a file: /cloud FILE" if not rest else f"{command} stands alone on its line")
        if command == "/cloud":
            self._show_cloud(rest)
        elif command == "/new":
            self.chat.rounds.clear()
            self._say("a new conversation about the same cloud")
        elif command == "/blind":
            self.blind = not self.blind
            self._say(f"answers without the cloud are {'shown' if self.blind else 'not shown'}")
        else:
            print_meanings(self.console, COMMANDS)

    def _show_cloud(self, file: str) -> None:
        """Begin a conversation about the cloud in `file`."""
        path = Path(file).expanduser()
        cloud = read_cloud(path, colors=self.colors)
        self.chat = self.session.chat(path, colors=self.colors)
        self._say(f"{file}: {format_count(len(cloud), 'point')} {'without' if cloud.colors is None else 'with'} color")

    def _ask(self, question: str) -> None:
        """Ask a question, and print the answer as it grows."""
        try:
            answer = self.chat.ask(question, blind=self.blind, decoding=self.decoding, on_text=self._print_piece)
        except DataError as error:
            hint = "; /new begins a new conversation" if self.chat.rounds else ""
            raise DataError(f"{error}{hint}") from error
        self.console.print("" if answer.text else escape_text("(an empty answer)", "dim"))
        if not answer.stopped:
            self._say(f"cut after {format_count(answer.tokens, 'token')}; --max-tokens N allows more")
        if self.blind:
            self._show_blind(answer)

    def _print_piece(self, text: str) -> None:
        self.console.print(escape_text(text), end="", soft_wrap=True)

    def _show_blind(self, answer: Answer) -> None:
        if answer.blind is None:
            self._say("no cloud is shown, so there is nothing to compare")
            return
        self._say(f"without the cloud: {answer.blind.text or '(an empty answer)'}")
        self._say(
            f"log p of the answer above: {format_signed(answer.logp, 2)} nats with the cloud, "
            f"{format_signed(answer.blind.logp, 2)} without ({format_count(answer.tokens, 'token')})"
        )

    def _say(self, text: str) -> None:
        print_sentence(self.console, escape_text(f"  {text}", "dim"))
