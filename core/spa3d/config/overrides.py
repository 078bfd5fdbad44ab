"""argv to flags: ``--name value``, ``--name=value`` and switches, nothing interpreted yet."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Container, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Flag:
    """One flag as it was typed; a switch has no value."""

    name: str
    value: str | None = None

    def __str__(self) -> str:
        return f"--{self.name}" if self.value is None else f"--{self.name} {self.value}"

    @property
    def word(self) -> str:
        """The flag as one word of a command line, which `scan` reads back."""
        return f"--{self.name}" if self.value is None else f"--{self.name}={self.value}"


@dataclass
class Arguments:
    """The flags of a command line in order, what stood between them, and what is wrong with it."""

    flags: list[Flag] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def value(self, name: str) -> str | None:
        """What was typed after ``--name``, or None."""
        return next((flag.value for flag in self.flags if flag.name == name), None)

    def values(self, name: str) -> list[str]:
        """What was typed after each ``--name``, for the flags that may be repeated."""
        return [flag.value for flag in self.flags if flag.name == name and flag.value is not None]

    def has(self, name: str) -> bool:
        """Whether ``--name`` was typed."""
        return any(flag.name == name for flag in self.flags)


def scan(argv: Sequence[str], *, switches: Collection[str], repeatable: Container[str] = ()) -> Arguments:
    """Split `argv` into flags.

    Args:
        argv: the words after the verb.
        switches: names of flags without a value.
        repeatable: names of flags that may come more than once.

    """
    found = Arguments()
    waiting = list(argv)
    while waiting:
        word = waiting.pop(0)
        if not word.startswith("--") or word == "--":
            found.words.append(word)
            continue
        name, equals, value = word[2:].partition("=")
        if name in switches:
            flag = Flag(name)
            if equals:
                found.faults.append(f"{word}: --{name} takes no value")
        elif equals:
            flag = Flag(name, value)
        elif waiting and not waiting[0].startswith("--"):
            flag = Flag(name, waiting.pop(0))
        else:
            near = difflib.get_close_matches(name, switches, n=1)
            guess = f"; did you mean --{near[0]}?" if near else f"; give it as --{name} VALUE or --{name}=VALUE"
            found.faults.append(f"--{name}: its value is missing{guess}")
            continue
        if found.has(name) and name not in repeatable:
            found.faults.append(f"{flag}: --{name} is given twice; keep one of them")
        found.flags.append(flag)
    return found
