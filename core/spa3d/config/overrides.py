"""Flags: ``--name value``, ``--name=value`` and switches, from argv to settings."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spa3d.config.foreign_flags import describe_pointer
from spa3d.config.sources import BLOCKS, PLAIN, Assignment, Name, Source, fixed_location, split_key
from spa3d.registry.fields import is_block
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
ALL, YAML = "all", "yaml"
SWITCH_WORDS = {"help": ALL, "dry-run": YAML}
"""Switches of a run that a word may follow, and that word."""


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


def scan(
    argv: Sequence[str],
    *,
    switches: Collection[str],
    repeatable: Container[str] = (),
    switch_words: Mapping[str, str] | None = None,
    describe_foreign: Callable[[str], str] = lambda name: "",
) -> Arguments:
    """Split `argv` into flags.

    Args:
        argv: the words after the verb.
        switches: names of flags without a value.
        repeatable: names of flags that may come more than once.
        switch_words: switches that one word may follow, and that word.
        describe_foreign: describes why there is no flag of a name; empty if there is one.

    """
    arguments, words, rest = Arguments(), switch_words or {}, list(argv)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--") or word == "--":
            arguments.words.append(word)
            continue
        name, equals, text = word[2:].partition("=")
        value = text if equals else None
        if name in switches:
            if value is None and rest and rest[0] == words.get(name):
                value = rest.pop(0)
            if value is not None and value != words.get(name):
                possible = f"no value but {words[name]}" if name in words else "no value"
                arguments.errors.append(f"{word}: --{name} takes {possible}")
                value = None
        elif value is None and rest and not rest[0].startswith("--"):
            value = rest.pop(0)
        if value is None and name not in switches:
            arguments.errors.append(f"--{name}: {describe_foreign(name) or _describe_missing_value(name, switches)}")
        else:
            _add_flag(arguments, Flag(name, value), repeatable)
    return arguments


def _describe_missing_value(name: str, switches: Collection[str]) -> str:
    near = difflib.get_close_matches(name, switches, n=1)
    guess = f"did you mean --{near[0]}?" if near else f"give it as --{name} VALUE or --{name}=VALUE"
    return f"its value is missing; {guess}"


def _add_flag(arguments: Arguments, flag: Flag, repeatable: Container[str]) -> None:
    """Add a flag; an empty value or a second flag of the name is an error."""
    if flag.value is not None and not flag.value.strip() and "." not in flag.name:
        arguments.errors.append(f"--{flag.name}: its value is empty; leave it out, or give one")
        return
    if arguments.has(flag.name) and flag.name not in repeatable:
        arguments.errors.append(f"{flag}: --{flag.name} is given twice; keep one of them")
    arguments.flags.append(flag)


def scan_run(
    argv: Sequence[str],
    *,
    own: Container[str] = (),
    own_switches: Collection[str] = (),
    switch_words: Mapping[str, str] | None = None,
) -> Arguments:
    """Split the arguments of a verb with the flags of a run; finds contradicting switches.

    Args:
        argv: the words after the verb.
        own: names of further flags of the verb.
        own_switches: those of them that take no value.
        switch_words: switches that one word may follow, and that word.

    """
    arguments = scan(
        ["--help" if word == "-h" else word for word in argv],
        switches=(*SWITCHES, *own_switches),
        repeatable={"plugin"},
        switch_words=switch_words,
        describe_foreign=lambda name: "" if name in own or _is_flag(Flag(name)) else _describe_unknown_flag(name),
    )
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
        elif not _is_name(flag.name) and (keys := _find_setting(flag)):
            assignments.append(Assignment(keys, flag.value or "", fixed_location(str(flag)), dotted=True))
        elif not _is_flag(flag):
            errors.append(f"{flag}: {_describe_unknown_flag(flag.name)}")
    plugins = tuple(flag.value for flag in flags if flag.name == "plugin" and flag.value is not None)
    registry = next((flag.value for flag in flags if flag.name == "registry" and flag.value), "")
    return Source(names, several, plugins, tuple(assignments), tuple(errors), registry)


def _split_names(flag: Flag) -> tuple[Name, ...]:
    """Split the value of a flag into names, at commas."""
    return tuple(Name(name.strip(), str(flag)) for name in (flag.value or "").split(","))


def _is_name(name: str) -> bool:
    """Whether it is a flag without a setting of the same name."""
    return name in (*OPTIONS, *SWITCHES, *CHOSEN, "llm")


def _is_flag(flag: Flag) -> bool:
    return _is_name(flag.name) or _find_setting(flag) is not None


def list_flags() -> list[str]:
    """List the names of the flags of a run, except those of the components."""
    from spa3d.config.settings import RunConfig  # takes 0.1 s, only needed for an error

    blocks = [name for block in BLOCKS for name in _list_settings(block, RunConfig.model_fields[block].annotation)]
    return [*CHOSEN, "llm", *PLAIN, *OPTIONS, *SWITCHES, "base", *blocks]


def _list_settings(prefix: str, block: Any) -> Iterator[str]:
    for name, setting in block.model_fields.items():
        if is_block(setting):
            yield from _list_settings(f"{prefix}.{name}", setting.annotation)
        else:
            yield f"{prefix}.{name}"


def _describe_unknown_flag(name: str) -> str:
    """Describe an unknown flag, with its counterpart or with similar flags."""
    pointer = describe_pointer(name)
    if pointer:
        return f"no flag '--{name}'; {pointer}"
    flags, last = list_flags(), name.rpartition(".")[2].replace("-", "_")
    near = [flag for flag in flags if flag.rpartition(".")[2] == last]
    near = sorted(near, key=lambda flag: flag.count(".")) or difflib.get_close_matches(name, flags)
    guess = f"; did you mean {' or '.join(repr(f'--{flag}') for flag in near[:3])}?" if near else ";"
    return f"no flag '--{name}'{guess} --help all lists all flags"


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
