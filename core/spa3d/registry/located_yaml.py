"""YAML reader that keeps the line of every key, so that errors can name file and line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from spa3d.errors import SpaError
from spa3d.registry.plain_yaml import Loader, construct, reject_deep
from spa3d.runtime.text_files import read_text

Keys = tuple[str | int, ...]
MOST = 100_000
"""Values of a file, with aliases written out; a few aliases of aliases stand for billions."""


@dataclass(frozen=True)
class LocatedContent:
    """Content of a YAML file as plain values, with the line of every key and list item."""

    path: Path
    values: dict[str, Any]
    lines: dict[Keys, int]

    def where(self, *keys: str | int) -> str:
        """``file:line`` of `keys`, or of their longest prefix in the file."""
        depth = self.depth(*keys)
        return f"{self.path}:{self.lines[keys[:depth]]}" if depth else str(self.path)

    def depth(self, *keys: str | int) -> int:
        """Length of the longest prefix of `keys` in the file."""
        return next((end for end in range(len(keys), 0, -1) if keys[:end] in self.lines), 0)

    def location(self, *keys: str | int) -> str:
        """``file:line dotted.key``, the beginning of a message."""
        return f"{self.where(*keys)} {'.'.join(map(str, keys))}"


def read_located(path: Path, error_type: type[SpaError]) -> LocatedContent:
    """Read a YAML file whose top level is a block of keys; an empty file is an empty block.

    Raises:
        SpaError: as `error_type`, with file and line: the file cannot be read, is not YAML, has a duplicate key, a key
            that is not text, a recursive alias, too many values, or a value that is not what its tag says.

    """
    text = read_text(path, error_type)
    loader = None
    try:
        reject_deep(text)
        loader = Loader(text)
        root = loader.get_single_node()
        lines = {} if root is None else _map_lines(path, root, error_type)
        values = {} if root is None else construct(loader, root)
    except yaml.YAMLError as error:
        raise error_type(_describe_error(path, error)) from error
    finally:
        if loader is not None:
            loader.dispose()
    if not isinstance(values, dict):
        raise error_type(f"{path}: expected a block of `key: value` lines, found {type(values).__name__}")
    return LocatedContent(path, values, lines)


def _describe_error(path: Path, error: yaml.YAMLError) -> str:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return f"{path}: not YAML: {' '.join(str(error).split())}"
    return f"{path}:{error.problem_mark.line + 1}: not YAML: {error.problem}"


def _map_lines(path: Path, root: yaml.Node, error_type: type[SpaError]) -> dict[Keys, int]:
    lines: dict[Keys, int] = {}
    stack: list[tuple[Keys, yaml.Node, tuple[int, ...]]] = [((), root, ())]
    while stack:
        keys, node, ancestors = stack.pop()
        if id(node) in ancestors:
            raise error_type(f"{path}:{node.start_mark.line + 1}: an alias stands for a block that it is part of")
        for key, line, value in _list_children(path, node, error_type):
            if (*keys, key) in lines:
                first = lines[*keys, key]
                raise error_type(f"{path}:{line}: key {key!r} is there twice, first in line {first}; keep one of them")
            lines[*keys, key] = line
            if len(lines) > MOST:
                raise error_type(f"{path}:{line}: more than {MOST:,} values, with aliases written out")
            stack.append(((*keys, key), value, (*ancestors, id(node))))
    return lines


def _list_children(
    path: Path, node: yaml.Node, error_type: type[SpaError]
) -> Iterator[tuple[str | int, int, yaml.Node]]:
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield index, item.start_mark.line + 1, item
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode) or key.tag not in {
                "tag:yaml.org,2002:str",
                "tag:yaml.org,2002:merge",
            }:
                shown = key.value if isinstance(key, yaml.ScalarNode) else "a block"
                raise error_type(f"{path}:{line}: {shown} is used as a key, but keys are text; put it in quotes")
            yield key.value, line, value
