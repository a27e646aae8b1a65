"""`c.kv`: byte keys and values in key order (section 4 of the storage specification). Deprecated; prefer state or `c.db`.

Two families of calls share one table: `get`, `put`, `delete`, `list...` keep their keys under the one-byte namespace `0x04`, the batch
calls use raw keys. So the stored layout is the peer's, and an entry of one family is invisible to the other.

Why entries are read from storage every time and not kept like the queue's: they are data of the user, of any amount, and most
generations look at few of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from runtime.errors import make_error
from runtime.storage.base import Delete, DeleteRange, Put

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from runtime.storage.actor import ActorStorage
    from runtime.storage.base import Op

Key = str | bytes | bytearray | memoryview
Value = str | bytes | bytearray | memoryview
Pairs = list[tuple[Any, Any]]
RawValues = list[bytes | None]

TABLE = "kv"
NAMESPACE = b"\x04"
MAX_VALUE_BYTES = 131_072
MAX_KEY_BYTES = 2048
# What one runtime batch may hold (DB-327), so that a chunk is atomic on any storage (KV-027).
CHUNK_ENTRIES = 128
CHUNK_BYTES = 524_288

_TYPES = ("text", "binary", "arrayBuffer")
_KEY_TYPES = ("text", "binary")


class Gate(Protocol):
    """The coordinator of transactions, as entries see it."""

    async def gate(self) -> None:
        """Wait behind an open transaction (KV-032)."""


class KeyValueOwner(Protocol):
    """What the entries ask of their actor."""

    @property
    def storage(self) -> ActorStorage:
        """Where entries are read."""
        ...

    @property
    def database(self) -> Gate:
        """Whose transactions they wait behind."""
        ...

    async def commit(self, ops: Sequence[Op]) -> None:
        """Write one durable batch."""


class KeyValue:
    """Durable entries of one actor; every call waits behind an open coordinated transaction (KV-032).

        await c.kv.put("user:1", "Ada")
        await c.kv.get("user:1")                           # "Ada", None when absent
        await c.kv.get("image", type="binary")             # bytes
        await c.kv.list("user:", limit=10)                 # [("user:1", "Ada")]

    Values are read as text unless `type` says `"binary"`.
    """

    def __init__(self, owner: KeyValueOwner) -> None:
        self._owner = owner

    async def get(self, key: Key, *, type: str = "text") -> Any:  # noqa: A002 - the option is named so
        """The value as text, or as bytes with `type` "binary" or "arrayBuffer"; None when absent (KV-002..005)."""
        _check_option("value", type, _TYPES)
        await self._owner.database.gate()
        data = await self._owner.storage.get(TABLE, _stored_key(key))
        return None if data is None else _decoded(data, type)

    async def put(self, key: Key, value: Value, *, type: str | None = None) -> None:  # noqa: A002
        """Insert or replace; `type` is accepted and has no effect (KV-006, KV-009).

        Raises:
            ActorError: kv/key_too_large, kv/value_too_large.
            TypeError: Neither text nor bytes (KV-034).
        """
        if type is not None:
            _check_option("value", type, _TYPES)
        await self._commit([_checked_put(_stored_key(key), _bytes(value, "value"))])

    async def delete(self, key: Key) -> None:
        """Remove one entry; an absent key is no error (KV-010)."""
        await self._commit([Delete(TABLE, _stored_key(key))])

    async def delete_range(self, start: Key, end: Key) -> None:
        """Remove entries with start <= key < end (KV-021)."""
        await self._commit([DeleteRange(TABLE, _stored_key(start), _stored_key(end))])

    async def list(
        self,
        prefix: Key = "",
        *,
        key_type: str = "text",
        type: str = "text",  # noqa: A002
        reverse: bool = False,
        limit: int | None = None,
    ) -> Pairs:
        """Entries whose key starts with `prefix`, in key order, with their full keys (KV-011..014)."""
        start = _stored_key(prefix, key_type)
        return await self._scan(start, _after_prefix(start), key_type, type, reverse, limit)

    list_prefix = list  # noqa: A003 - the method above, not the builtin

    async def list_range(
        self,
        start: Key,
        end: Key,
        *,
        key_type: str = "text",
        type: str = "text",  # noqa: A002
        reverse: bool = False,
        limit: int | None = None,
    ) -> Pairs:
        """Entries with start <= key < end (KV-015..019)."""
        return await self._scan(_stored_key(start, key_type), _stored_key(end, key_type), key_type, type, reverse, limit)

    async def batch_get(self, keys: Sequence[bytes]) -> RawValues:
        """Raw values in the order of `keys`, None for absent ones (KV-025)."""
        raw = [_bytes(key, "key", text=False) for key in keys]
        await self._owner.database.gate()
        return [await self._owner.storage.get(TABLE, key) for key in raw]

    async def batch_put(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Write raw entries. Up to 128 entries and 512 KiB are one atomic batch, more are split in order (KV-024, KV-027, KV-028)."""
        # All are checked before the first is written: a bad entry among many changes nothing.
        puts = [_checked_put(_bytes(key, "key", text=False), _bytes(value, "value", text=False)) for key, value in entries]
        for chunk in _chunks(puts):
            await self._commit(chunk)

    async def batch_delete(self, keys: Iterable[bytes]) -> None:
        """Remove raw keys."""
        await self._commit([Delete(TABLE, _bytes(key, "key", text=False)) for key in keys])

    async def _commit(self, ops: Sequence[Op]) -> None:
        await self._owner.database.gate()
        await self._owner.commit(ops)

    async def _scan(self, start: bytes, end: bytes | None, key_type: str, value_type: str, reverse: bool, limit: int | None) -> Pairs:
        _check_option("value", value_type, _TYPES)
        if limit is not None and limit < 0:
            raise make_error("kv.invalid_argument", reason="limit must be non-negative")
        await self._owner.database.gate()
        rows = await self._owner.storage.scan(TABLE, start, end, reverse=bool(reverse), limit=None if limit is None else int(limit))
        return [(_decoded(key[len(NAMESPACE) :], key_type), _decoded(value, value_type)) for key, value in rows]


def _stored_key(key: Key, key_type: str = "text") -> bytes:
    _check_option("key", key_type, _KEY_TYPES)
    # Refused and not encoded: the caller would get bytes back for what it put in as text.
    if key_type == "binary" and isinstance(key, str):
        raise TypeError("Expected bytes when key_type is binary")
    return NAMESPACE + _bytes(key, "key")


def _bytes(value: Any, what: str, *, text: bool = True) -> bytes:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, str) and text:
        # Lone surrogates become the replacement character, as they do in every UTF-8 encoder of a browser.
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()
    raise TypeError(f"KV {what} must be {'text or ' if text else ''}bytes, got {type(value).__name__}")


def _decoded(data: bytes, kind: str) -> str | bytes:
    return data.decode("utf-8", "replace") if kind == "text" else data


def _checked_put(key: bytes, value: bytes) -> Put:
    parts = (("key", "kv.key_too_large", key, MAX_KEY_BYTES), ("value", "kv.value_too_large", value, MAX_VALUE_BYTES))
    for what, code, data, limit in parts:
        if len(data) > limit:
            text = f"KV {what} too large ({len(data)} bytes). Limit is {limit} bytes."
            raise make_error(code, message=text, size=len(data), limit=limit)
    return Put(TABLE, key, value)


def _check_option(what: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise TypeError(f"Invalid kv {what} type: {value!r}")


def _after_prefix(prefix: bytes) -> bytes | None:
    """The smallest key behind all keys that start with `prefix`."""
    # A last byte of 0xff can't be counted up, so the one before it is; nothing lies behind a key of 0xff alone.
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None


def _chunks(puts: Sequence[Put]) -> Iterator[Sequence[Put]]:
    chunk: list[Put] = []
    size = 0
    for put in puts:
        bytes_of_put = len(put.key) + len(put.value)
        if chunk and (len(chunk) >= CHUNK_ENTRIES or size + bytes_of_put > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(put)
        size += bytes_of_put
    if chunk:
        yield chunk
