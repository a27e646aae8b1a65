"""WebSocket handshakes and frames (RFC 6455) with every rule broken, and the messages of the protocol in right frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzz.grammars import addresses, bare, documents
from fuzz.grammars.exchange import Exchange
from fuzz.grammars.http_request import HOST, Draft, gateway
from fuzz.grammars.leaves import ILL
from fuzz.grammars.mutation import mutated
from fuzz.source import pick, upto

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
CODES = (
    0, 1, 999, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1010, 1011, 1012, 1014, 1015, 1016, 1100, 2000, 2999, 3000, 4000, 4999,
    5000, 65535,
)  # fmt: skip
ENCODINGS = ("json", "cbor", "bare")
MESSAGES: dict[str, Callable[[Random], bytes]] = {
    "json": documents.json_documents(documents.TO_SERVER),
    "cbor": documents.cbor_documents(documents.TO_SERVER),
    "bare": bare.versioned(bare.TO_SERVER),
}
PATHS = (b"/connect", b"/connect", b"/websocket", b"/websocket/some/where", b"/inspector/connect")
MANY = 1000
MASK = b"\x01\x02\x03\x04"


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    reserved: int = 0,
    mask: bytes | None = MASK,
    form: int = 0,
    claim: int | None = None,
) -> bytes:
    """One frame.

    Args:
        opcode: 0 to 15.
        payload: Before it is masked.
        fin: Whether it ends its message.
        reserved: The three reserved bits.
        mask: Four bytes, None for a frame without.
        form: 126 or 127 for a longer form of the length than it needs.
        claim: Another length than the payload's.
    """
    size = len(payload) if claim is None else claim
    form = form or (size if size < 126 else 126 if size < 65536 else 127)
    length = bytes((form | (0x80 if mask is not None else 0),))
    if form >= 126:
        width = 2 if form == 126 else 8
        length += (size % 2 ** (8 * width)).to_bytes(width, "big")
    head = bytes((fin << 7 | reserved << 4 | opcode,)) + length
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def handshake(path: bytes, protocols: str = "rivet, rivet_encoding.json") -> Draft:
    """A right one."""
    fields = [
        (b"upgrade", b"websocket"), (b"connection", b"Upgrade"), (b"sec-websocket-version", b"13"),
        (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
        (b"sec-websocket-protocol", protocols.encode("utf-8", "replace")),
    ]  # fmt: skip
    return Draft(b"GET", path, fields=fields)


# Handshakes.

HANDSHAKE_FIELDS = (
    (b"sec-websocket-key", b""), (b"sec-websocket-key", b"short"), (b"sec-websocket-key", b"x" * 4000),
    (b"sec-websocket-key", b"!" * 24), (b"sec-websocket-version", b"8"), (b"sec-websocket-version", b"13, 8"),
    (b"sec-websocket-version", b""), (b"sec-websocket-version", b"9" * 5000), (b"upgrade", b"WebSocket/13, h2c"), (b"upgrade", b"h2c"),
    (b"connection", b"close"), (b"connection", b"keep-alive, Upgrade"),
    (b"sec-websocket-extensions", b"permessage-deflate; client_max_window_bits=99"), (b"sec-websocket-extensions", b"x;;=,\x00"),
    (b"sec-websocket-extensions", b"permessage-deflate, " * 200), (b"sec-websocket-protocol", b"," * 3000),
    (b"sec-websocket-protocol", b"rivet\x00"), (b"sec-websocket-protocol", b"a b"),
    (b"sec-websocket-protocol", b"rivet_conn_params." + b"x" * 9000), (b"sec-websocket-accept", b"x"), (b"content-length", b"5"),
    (b"transfer-encoding", b"chunked"), (b"origin", b"null"), (b"origin", b"http://evil.example"), (b"expect", b"100-continue"),
)  # fmt: skip


def opening(chance: Random) -> Exchange:
    """A handshake with one to three rules broken."""
    draft = handshake(gateway(pick(chance, PATHS)), ", ".join(addresses.entries(chance))[:5000] if chance.random() < 0.6 else "rivet")
    for _ in range(1 + upto(chance, 2)):
        name, value = pick(chance, HANDSHAKE_FIELDS)
        point = chance.random()
        if point < 0.5:
            draft.fields = [(known, value if known == name else old) for known, old in draft.fields]
        elif point < 0.75:
            draft.fields.append((name, value))
        else:
            draft.fields = [pair for pair in draft.fields if pair[0] != name]
    if chance.random() < 0.1:
        draft.version = b"HTTP/1.0"
    if chance.random() < 0.1:
        draft.method = b"POST"
    if chance.random() < 0.2:
        path, query = addresses.gateway(chance)
        draft.target = path + b"?" + query
    if chance.random() < 0.1:
        draft.host = pick(chance, ([], [HOST, HOST], [b"evil.example"]))
    data = draft.to_bytes()
    return Exchange("handshake", (mutated(chance, data) if chance.random() < 0.15 else data, frame(TEXT, b"{}")))


# Frames.


def _control(chance: Random) -> list[bytes]:
    kind = pick(chance, (CLOSE, PING, PONG))
    return [frame(kind, b"x" * pick(chance, (126, 127, 5000)), form=126), frame(kind, b"x", fin=False), frame(CONTINUATION, b"y")]


def _bits(chance: Random) -> list[bytes]:
    return [frame(pick(chance, (TEXT, BINARY, PING)), b"{}", reserved=1 + int(chance.random() * 7))]


def _opcode(chance: Random) -> list[bytes]:
    return [frame(pick(chance, (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)), b"x", fin=chance.random() < 0.7)]


def _unmasked(chance: Random) -> list[bytes]:
    return [frame(pick(chance, (TEXT, BINARY, PING, CLOSE)), b"{}", mask=None)]


def _order(chance: Random) -> list[bytes]:
    return pick(
        chance,
        (
            [frame(CONTINUATION, b"x")],
            [frame(TEXT, b"x", fin=False), frame(TEXT, b"y")],
            [frame(TEXT, b"x", fin=False), frame(BINARY, b"y", fin=False), frame(CONTINUATION, b"z")],
            [frame(TEXT, b"{", fin=False), frame(PING), frame(CONTINUATION, b"}")],
            [frame(TEXT, b"", fin=False), frame(CLOSE, b"\x03\xe8")],
        ),
    )


def _length(chance: Random) -> list[bytes]:
    claims = (2**63, 2**64 - 1, 2**63 - 1, 2**62, 2**40, 2**32, 2**31, 33 * 2**20, 70_000)
    return pick(
        chance,
        (
            [frame(TEXT, b"x", form=127, claim=pick(chance, claims))],
            [frame(BINARY, b"x" * 5, form=127)],
            [frame(TEXT, b"x" * 5, form=126)],
            [frame(TEXT, b"x", claim=100)],
            [frame(BINARY, b"x" * pick(chance, (65_535, 65_536, 65_537, 200_000)))],
        ),
    )


def _utf8(chance: Random) -> list[bytes]:
    ill = pick(chance, (*ILL, "\u20ac".encode(), "\U0001f600".encode()))
    parts = [b"{" + ill] if chance.random() < 0.4 else [ill[:1], ill[1:]]
    last = len(parts) - 1
    return [frame(TEXT if at == 0 else CONTINUATION, part, fin=at == last) for at, part in enumerate(parts)]


def _close(chance: Random) -> list[bytes]:
    code = pick(chance, CODES).to_bytes(2, "big")
    payload = pick(chance, (code, code + b"bye", b"\x03", b"", code + b"\xff\xfe", code + b"x" * 123, code + b"x" * 124))
    return [frame(CLOSE, payload), frame(TEXT, b"{}"), frame(CLOSE, payload)] if chance.random() < 0.5 else [frame(CLOSE, payload)]


def _flood(chance: Random) -> list[bytes]:
    return pick(
        chance,
        (
            [frame(PING, b"x") * MANY],
            [frame(PONG) * MANY],
            [frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) * MANY],
            [frame(TEXT, b"{}") * 100],
            [frame(BINARY) * 200],
            [frame(TEXT, b"{", fin=False) + frame(PING) * 300 + frame(CONTINUATION, b"}")],
        ),
    )


def _deflated(_: Random) -> list[bytes]:
    return [frame(TEXT, b"\xaa\x56\x4a\x04\x00", reserved=4)]


BREAKS: tuple[Callable[[Random], list[bytes]], ...] = (
    _control, _bits, _opcode, _unmasked, _order, _length, _utf8, _close, _close, _flood, _deflated,
)  # fmt: skip


def _message(chance: Random, encoding: str) -> bytes:
    """A message in one frame or several, in the kind of frame that its encoding wants, mostly."""
    data = MESSAGES[encoding](chance)
    kind = TEXT if (encoding == "json") == (chance.random() < 0.97) else BINARY
    if chance.random() < 0.8 or len(data) < 2:
        return frame(kind, data)
    at = 1 + int(chance.random() * (len(data) - 1))
    return frame(kind, data[:at], fin=False) + frame(CONTINUATION, data[at:])


def _opened(chance: Random, encoding: str) -> bytes:
    return handshake(gateway(pick(chance, PATHS)), f"rivet, rivet_encoding.{encoding}, rivet_inspector_token.token").to_bytes()


def frames(chance: Random) -> Exchange:
    """Broken frames, with right messages before and after them."""
    encoding = pick(chance, ENCODINGS)
    made = [_message(chance, encoding) for _ in range(upto(chance, 2))] + pick(chance, BREAKS)(chance)
    made += [_message(chance, encoding) for _ in range(upto(chance, 2))]
    if chance.random() < 0.1:
        made = [mutated(chance, b"".join(made))]
    if chance.random() < 0.05 and sum(map(len, made)) < 400:
        made = [bytes((byte,)) for piece in made for byte in piece]
    return Exchange("frames", tuple(made), _opened(chance, encoding))


def messages(chance: Random) -> Exchange:
    """Hostile messages in right frames."""
    encoding = pick(chance, ENCODINGS)
    if chance.random() < 0.1:
        data, version = bare.inspector(chance)
        path = gateway(b"/inspector/connect") + (f"&protocol_version={version}".encode() if version is not None else b"")
        return Exchange("inspector", (frame(BINARY, data),), handshake(path, "rivet, rivet_inspector_token.token").to_bytes())
    return Exchange("messages", tuple(_message(chance, encoding) for _ in range(1 + upto(chance, 4))), _opened(chance, encoding))
