"""Terraform's language, as far as it has to be written: as ``terraform fmt`` would.

A body is attributes and blocks. Text may hold ``${…}``, which stays what it is to Terraform.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

_WIDTH = 80
_INDENT = "  "


@dataclass(frozen=True)
class Ref:
    """An expression, such as ``var.region``."""

    text: str


Value: TypeAlias = "str | bool | int | Ref | Sequence[Value] | Mapping[str, Value]"


@dataclass(frozen=True)
class Block:
    """A block: ``resource "aws_s3_bucket" "data" { … }``."""

    kind: str
    labels: tuple[str, ...] = ()
    attributes: Mapping[str, Value] = field(default_factory=dict)
    blocks: tuple[Block, ...] = ()


def document(blocks: Iterable[Block]) -> str:
    """A file of blocks."""
    return "\n".join("\n".join(_block(block)) + "\n" for block in blocks)


def _block(block: Block) -> list[str]:
    head = " ".join([block.kind, *(_text(label) for label in block.labels)])
    inner = _attributes(block.attributes)
    for each in block.blocks:
        inner += ([""] if inner else []) + _block(each)
    return [f"{head} {{", *_indented(inner), "}"] if inner else [f"{head} {{}}"]


def _attributes(attributes: Mapping[str, Value]) -> list[str]:
    """Neighbours that take a line each have their ``=`` below each other."""
    lines: list[str] = []
    neighbours: list[tuple[str, str]] = []

    def put() -> None:
        width = max((len(name) for name, _ in neighbours), default=0)
        lines.extend(f"{name:<{width}} = {value}" for name, value in neighbours)
        neighbours.clear()

    for name, value in attributes.items():
        first, *rest = _value(value)
        if not rest:
            neighbours.append((_name(name), first))
            continue
        put()
        lines.extend([f"{_name(name)} = {first}", *rest])
    put()
    return lines


def _value(value: Value) -> list[str]:
    if isinstance(value, Ref):
        return [value.text]
    if isinstance(value, str):
        return [_text(value)]
    if isinstance(value, (bool, int)):
        return [json.dumps(value)]
    if isinstance(value, Mapping):
        return ["{", *_indented(_attributes(value)), "}"] if value else ["{}"]
    return _list(value)


def _list(values: Sequence[Value]) -> list[str]:
    items = [_value(each) for each in values]
    if all(len(each) == 1 for each in items):
        line = f"[{', '.join(each[0] for each in items)}]"
        if len(line) <= _WIDTH:
            return [line]
    lines = [line for each in items for line in (*each[:-1], f"{each[-1]},")]
    return ["[", *_indented(lines), "]"]


def _name(name: str) -> str:
    """A key: of a map it may need quotes."""
    return name if name.replace("_", "a").replace("-", "a").isalnum() else _text(name)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"{_INDENT}{line}" if line else line for line in lines]
