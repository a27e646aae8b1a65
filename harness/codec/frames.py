"""Frames of `/connect` (WIRE section 8); json is text, cbor and bare are binary (WIRE-424)."""

from __future__ import annotations

from typing import cast

from client import Encoding
from harness.codec.errors import SchemaError
from harness.codec.messages import ToClient, ToServer, fields_of, made
from harness.codec.schema import read, write

Frame = bytes | str


def decode_to_client(frame: Frame, encoding: str) -> ToClient:
    """A server frame, strictly; raises `SchemaError`."""
    # Only what a server sends: a client may send its JSON in either kind of frame.
    if encoding == Encoding.JSON and not isinstance(frame, str):
        raise SchemaError("a JSON message came as a binary frame (WIRE-424)")
    return cast("ToClient", made(*read("ToClient", frame, encoding)))


def decode_to_server(frame: Frame, encoding: str) -> ToServer:
    """A client frame, strictly; raises `SchemaError`."""
    return cast("ToServer", made(*read("ToServer", frame, encoding)))


def encode_to_server(message: ToServer, encoding: str) -> Frame:
    """A client frame."""
    data = write("ToServer", *fields_of(message), encoding)
    return str(data, "utf-8") if encoding == Encoding.JSON else data
