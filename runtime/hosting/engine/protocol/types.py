"""Descriptions of BARE values: each reads and writes one kind of value, and larger ones are put together from smaller ones.

Why descriptions and no hand-written pairs of functions: the order of fields is the format, and here it stands in one place for both ways.
"""

from __future__ import annotations

import dataclasses
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from runtime.protocol.bare import Reader, Writer
from runtime.protocol.decode_errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from enum import Enum

T = TypeVar("T")
E = TypeVar("E", bound="Enum")


class Type(NamedTuple, Generic[T]):
    """How one kind of value is written and read; `read` raises `DecodeError`."""

    write: Callable[[Writer, T], object]
    read: Callable[[Reader], T]

    def encode(self, value: T) -> bytes:
        """The bytes of one value."""
        writer = Writer()
        self.write(writer, value)
        return writer.finish()

    def decode(self, data: bytes) -> T:
        """The one value that the bytes are.

        Raises:
            DecodeError: They are not one, or something follows it.
        """
        reader = Reader(data)
        value = self.read(reader)
        if not reader.at_end():
            raise DecodeError("bytes follow the message")
        return value


U16 = Type[int](Writer.u16, Reader.u16)
U32 = Type[int](Writer.u32, Reader.u32)
U64 = Type[int](Writer.u64, Reader.u64)
I64 = Type[int](Writer.i64, Reader.i64)
BOOL = Type[bool](Writer.bool, Reader.bool)
STR = Type[str](Writer.str, Reader.str)
DATA = Type[bytes](Writer.data, Reader.data)
ID = Type[bytes](Writer.raw, lambda reader: reader.take(4))
"""Four bytes without a length: a gateway, or a request of one (ENGINE-042)."""


def optional(of: Type[T]) -> Type[T | None]:
    """A byte that says whether the value follows."""

    def write(writer: Writer, value: T | None) -> None:
        writer.bool(value is not None)
        if value is not None:
            of.write(writer, value)

    return Type(write, lambda reader: of.read(reader) if reader.bool() else None)


def many(of: Type[T]) -> Type[Sequence[T]]:
    """A count and the values."""

    def write(writer: Writer, values: Sequence[T]) -> None:
        writer.uint(len(values))
        for value in values:
            of.write(writer, value)

    return Type(write, lambda reader: tuple(of.read(reader) for _ in range(reader.count())))


def mapping(of: Type[T]) -> Type[Mapping[str, T]]:
    """A count and the entries, in any order; a name that comes twice is a fault."""

    def write(writer: Writer, values: Mapping[str, T]) -> None:
        writer.uint(len(values))
        for name, value in values.items():
            writer.str(name)
            of.write(writer, value)

    def read(reader: Reader) -> Mapping[str, T]:
        values: dict[str, T] = {}
        for _ in range(reader.count()):
            name = reader.str()
            if name in values:
                raise DecodeError("a name comes twice")
            values[name] = of.read(reader)
        return values

    return Type(write, read)


def enumeration(kind: type[E]) -> Type[E]:
    """The position of a member in its class."""
    members = list(kind)

    def read(reader: Reader) -> E:
        position = reader.uint()
        if position >= len(members):
            raise DecodeError(f"{kind.__name__} has no member {position}")
        return members[position]

    return Type(lambda writer, value: writer.uint(members.index(value)), read)


def record(kind: type[T], /, **fields: Type[Any]) -> Type[T]:
    """The fields of a value class, one after another; their order here is the format.

    Raises:
        TypeError: The class has other fields, or has them in another order.
    """
    # Values are made by position: were the orders different, fields would get mixed up.
    if [field.name for field in dataclasses.fields(kind)] != list(fields):  # type: ignore[arg-type]
        raise TypeError(f"the fields of {kind.__name__} are others")
    parts = [(attrgetter(name), of) for name, of in fields.items()]
    readers = [of.read for of in fields.values()]

    def write(writer: Writer, value: T) -> None:
        for get, of in parts:
            of.write(writer, get(value))

    return Type(write, lambda reader: kind(*[read(reader) for read in readers]))


def union(*members: tuple[int, type[Any], Type[Any]]) -> Type[Any]:
    """A tag, and what it says that follows: pairs of tag and class, with the description of the class."""
    writers = {kind: (tag, of.write) for tag, kind, of in members}
    readers = {tag: of.read for tag, _, of in members}

    def write(writer: Writer, value: Any) -> None:
        tag, write_member = writers[type(value)]
        writer.uint(tag)
        write_member(writer, value)

    def read(reader: Reader) -> Any:
        tag = reader.uint()
        if tag not in readers:
            raise DecodeError(f"unknown tag {tag}")
        return readers[tag](reader)

    return Type(write, read)
