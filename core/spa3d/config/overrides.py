"""Flags: ``--name value``, ``--name=value`` and switches, from argv to settings."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Container, Sequence
from dataclasses import dataclass, field

from spa3d.config.sources import BLOCKS, PLAIN, Assignment, Name, Source, fixed_location, split_key
from spa3d.registry.fields import describe_unknown
from spa3d.registry.kinds import CHOSEN, CHOSEN_ONCE, CHOSEN_SEVERAL
from spa3d.registry.located_yaml import Keys

OPTIONS = ("config", "preset", "output", "plugin", "registry")
TOGGLES = {
    "blind": ("blind", True),
    "no-blind": ("blind", False),
    "cache": ("cache", True),
    "no-cache": ("cache", False),
}
NAMED = (*CHOSEN_ONCE, "preset", "llm")
SWITCHES = ("help", "version", "resume", "dry-run", "debug", *TOGGLES)


@dataclass(frozen=True)
class Flag:
    """One flag of the command line; a switch has no value."""

    name: str
    value: str | None = None

    def __str__(self) -> str:
        return f"--{self.name}" if self.value is None else f"--{self.name} {self.value}"


@dataclass
class Arguments:
    """A split command line: flags in order, other words, and errors."""

    flags: list[Flag] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def value(self, name: str) -> str | None:
        """The value of ``--name``; None if it is not given."""
        return next((flag.value for flag in self.flags if flag.name == name), None)

    def values(self, name: str) -> list[str]:
        """The values of a flag that may be repeated."""
        return [flag.value for flag in self.flags if flag.name == name and flag.value is not None]

    def has(self, name: str) -> bool:
        """Whether ``--name`` is given."""
        return any(flag.name == name for flag in self.flags)

    def drop_flags(self, names: Container[str]) -> Arguments:
        """A copy without the flags in `names`, and without words and errors."""
        return Arguments([flag for flag in self.flags if flag.name not in names])


def scan(argv: Sequence[str], *, switches: Collection[str], repeatable: Container[str] = ()) -> Arguments:
    """Split `argv` into flags.

    Args:
        argv: the words after the verb.
        switches: names of flags without a value.
        repeatable: names of flags that may come more than once.

    """
    arguments = Arguments()
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--") or word == "--":
            arguments.words.append(word)
            continue
        name, equals, value = word[2:].partition("=")
        if name in switches:
            flag = Flag(name)
            if equals:
                arguments.errors.append(f"{word}: --{name} takes no value")
        elif equals:
            flag = Flag(name, value)
        elif rest and not rest[0].startswith("--"):
            flag = Flag(name, rest.pop(0))
        else:
            near = difflib.get_close_matches(name, switches, n=1)
            guess = f"; did you mean --{near[0]}?" if near else f"; give it as --{name} VALUE or --{name}=VALUE"
            arguments.errors.append(f"--{name}: its value is missing{guess}")
            continue
        if flag.value is not None and not flag.value.strip() and "." not in name:
            arguments.errors.append(f"--{name}: its value is empty; leave it out, or give one")
            continue
        if arguments.has(name) and name not in repeatable:
            arguments.errors.append(f"{flag}: --{name} is given twice; keep one of them")
        arguments.flags.append(flag)
    return arguments


def scan_run(argv: Sequence[str]) -> Arguments:
    """Split the arguments of a verb with the flags of a run; finds contradicting switches."""
    arguments = scan(["--help" if word == "-h" else word for word in argv], switches=SWITCHES, repeatable={"plugin"})
    for setting in dict.fromkeys(setting for setting, _ in TOGGLES.values()):
        both = [f"--{name}" for name, (other, _) in TOGGLES.items() if other == setting and arguments.has(name)]
        if len(both) > 1:
            arguments.errors.append(f"{' and '.join(both)}: they contradict each other; keep one of them")
    return arguments


def source_of_flags(flags: Sequence[Flag]) -> Source:
    """Make a source of settings from the flags of a run; the location of a value is its flag."""
    by_name = {flag.name: flag for flag in reversed(flags)}
    names = {kind: Name(by_name[kind].value or "", str(by_name[kind])) for kind in NAMED if kind in by_name}
    several = {kind: _split_names(by_name[kind]) for kind in CHOSEN_SEVERAL if kind in by_name}
    assignments: list[Assignment] = []
    errors: list[str] = []
    for flag in flags:
        if flag.name in TOGGLES:
            key, value = TOGGLES[flag.name]
            assignments.append(Assignment((key,), value, fixed_location(str(flag))))
        elif flag.name not in (*OPTIONS, *SWITCHES, *CHOSEN, "llm"):
            keys = _find_setting(flag)
            if keys:
                assignments.append(Assignment(keys, flag.value or "", fixed_location(str(flag)), dotted=True))
            else:
                known = [f"--{name}" for name in (*CHOSEN, *BLOCKS, *PLAIN, *OPTIONS, *SWITCHES)]
                errors.append(f"{flag}: {describe_unknown('flag', f'--{flag.name}', known)}")
    plugins = tuple(flag.value for flag in flags if flag.name == "plugin" and flag.value is not None)
    registry = next((flag.value for flag in flags if flag.name == "registry" and flag.value), "")
    return Source(names, several, plugins, tuple(assignments), tuple(errors), registry)


def _split_names(flag: Flag) -> tuple[Name, ...]:
    """Split the value of a flag into names, at commas."""
    return tuple(Name(name.strip(), str(flag)) for name in (flag.value or "").split(","))


def _find_setting(flag: Flag) -> Keys | None:
    """Find the keys of the setting that a flag sets; None if there is no such setting."""
    head, *rest = flag.name.split(".")
    if head in CHOSEN:
        return split_key(flag.name) if len(rest) >= (2 if head in CHOSEN_SEVERAL else 1) else None
    if flag.name == "base":
        return ("base", "path")
    if head in BLOCKS:
        return split_key(flag.name)
    if head.replace("_", "-") in PLAIN and not rest:
        return (head.replace("-", "_"),)
    return None
