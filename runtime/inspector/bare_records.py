"""BARE records whose layout is their dataclass: fields in order, and the wire type of each from its annotation.

`int` is `uint`, `str` and `bool` are themselves, `bytes` is `data`, `X | None` is optional, `list[X]` is a list, a dataclass is a struct.
"""

from __future__ import annotations

import dataclasses
import types
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.protocol.bare import Reader, Writer


# Resolving annotations is slow, and there are a few dozen record classes.
@cache
def _layout(record: Any) -> Mapping[str, Any]:
    hints = get_type_hints(record)
    return {field.name: hints[field.name] for field in dataclasses.fields(record)}


def write_record(writer: Writer, record: Any, count: int | None = None) -> None:
    """Append the fields of a dataclass, or the first `count` of them."""
    for name, kind in islice(_layout(record.__class__).items(), count):
        _write(writer, kind, getattr(record, name))


def read_record(reader: Reader, record: type) -> Any:
    """The inverse of `write_record`; raises `DecodeError`."""
    return record(**{name: _read(reader, kind) for name, kind in _layout(record).items()})


def _write(writer: Writer, kind: Any, value: Any) -> None:
    if kind is int:
        writer.uint(value)
    elif kind is str:
        writer.str(value)
    elif kind is bool:
        writer.bool(value)
    elif kind is bytes:
        writer.data(value)
    elif get_origin(kind) is list:
        writer.uint(len(value))
        for item in value:
            _write(writer, get_args(kind)[0], item)
    elif isinstance(kind, types.UnionType):
        writer.bool(value is not None)
        if value is not None:
            _write(writer, get_args(kind)[0], value)
    else:
        write_record(writer, value)


def _read(reader: Reader, kind: Any) -> Any:
    if kind is int:
        return reader.uint()
    if kind is str:
        return reader.str()
    if kind is bool:
        return reader.bool()
    if kind is bytes:
        return reader.data()
    if get_origin(kind) is list:
        return [_read(reader, get_args(kind)[0]) for _ in range(reader.count())]
    if isinstance(kind, types.UnionType):
        return _read(reader, get_args(kind)[0]) if reader.bool() else None
    return read_record(reader, kind)
