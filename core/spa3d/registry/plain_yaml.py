"""YAML with the plain values of YAML 1.2: text, numbers, true, false and null.

PyYAML follows YAML 1.1, where ``yes`` is true, ``010`` is eight and ``1:30`` is ninety. Here ``yes`` and ``1:30`` are
text, which a setting that needs a number refuses, and ``010`` is ten. Tags such as ``!!timestamp`` are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

DEEPEST = 50
"""Levels of a file; the parser of PyYAML breaks off the whole process at about 100,000."""
TAG = "tag:yaml.org,2002:"
KEPT = ("null", "bool", "int", "float", "str", "seq", "map")
PLAIN = (
    ("null", r"(?:~|null|Null|NULL|)", ["~", "n", "N", ""]),
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan)", list("-+.0123456789")),
    ("merge", r"<<", ["<"]),
)
"""Kinds of plain values: tag, pattern, first characters."""
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Loader(_Base):
    """Loader of YAML 1.2's plain values."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own protocol
    yaml_constructors = {  # noqa: RUF012
        tag: make for tag, make in _Base.yaml_constructors.items() if tag is None or tag.removeprefix(TAG) in KEPT
    }


class _Dumper(yaml.SafeDumper):
    """Dumper that also quotes texts which YAML 1.2 reads as a number, such as ``1e5``."""


def _construct_int(loader: Any, node: yaml.ScalarNode) -> int:
    return int(loader.construct_scalar(node))


def _construct_float(loader: Any, node: yaml.ScalarNode) -> float:
    return float(re.sub(r"\.(inf|nan)$", r"\1", loader.construct_scalar(node)))


for _name, _pattern, _first in PLAIN:
    Loader.add_implicit_resolver(f"{TAG}{_name}", re.compile(rf"{_pattern}\Z"), _first)
    _Dumper.add_implicit_resolver(f"{TAG}{_name}", re.compile(rf"{_pattern}\Z"), _first)
Loader.add_constructor(f"{TAG}int", _construct_int)
Loader.add_constructor(f"{TAG}float", _construct_float)


def parse_yaml(text: str) -> Any:
    """Parse YAML to plain values.

    Raises:
        yaml.YAMLError: the text is not YAML, is nested too deeply, or has a value that is not what its tag says.

    """
    reject_deep(text)
    loader = Loader(text)
    try:
        root = loader.get_single_node()
        return None if root is None else construct(loader, root)
    finally:
        loader.dispose()


def construct(loader: Loader, node: yaml.Node) -> Any:
    """Make the value of a node; raises `yaml.YAMLError` with the line of an invalid scalar."""
    for scalar in _list_scalars(node):
        try:
            loader.construct_object(scalar)
        except (ValueError, OverflowError, KeyError) as error:
            name = scalar.tag.removeprefix(TAG)
            raise yaml.MarkedYAMLError(
                problem=f"{scalar.value[:40]!r} is no {name}", problem_mark=scalar.start_mark
            ) from error
    return loader.construct_document(node)


def reject_deep(text: str) -> None:
    """Raise `yaml.YAMLError` for text with more than `DEEPEST` nested blocks."""
    depth = 0
    event: Any
    for event in yaml.parse(text, Loader):
        if isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
            depth += 1
        elif isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
            depth -= 1
        if depth > DEEPEST:
            raise yaml.MarkedYAMLError(problem=f"more than {DEEPEST} nested blocks", problem_mark=event.start_mark)


def dump_yaml(values: Any) -> str:
    """Format plain values as YAML that `parse_yaml` reads back, keys in their order."""
    text: str = yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text


def _list_scalars(root: yaml.Node) -> Iterator[yaml.ScalarNode]:
    """Yield each scalar once, whatever the aliases."""
    stack, seen = [root], set[int]()
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            yield node
        elif isinstance(node, yaml.SequenceNode):
            stack += node.value
        elif isinstance(node, yaml.MappingNode):
            stack += [inner for pair in node.value for inner in pair]
