"""HTTP/1.1 requests as bytes, with the rules of RFC 9110 and 9112 broken one or two at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fuzz.grammars import addresses, bare, documents
from fuzz.grammars.exchange import Exchange
from fuzz.grammars.mutation import mutated
from fuzz.source import pick, upto

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

HOST = b"127.0.0.1"
METHODS = (
    b"GET", b"POST", b"PUT", b"DELETE", b"PATCH", b"HEAD", b"OPTIONS", b"TRACE", b"CONNECT", b"PURGE", b"get", b"G\x00ET", b"G ET", b"",
    b"GET:", b"\xc3\xa9", b"M" * 300, b"PRI", b"!#$%&'*+-.^_`|~", b"SELECT",
)  # fmt: skip
TARGETS = (
    b"*", b"", b"health", b"//health", b"/health#x", b"/health\x00", b"/he alth", b"/\xff\xfe", b"/\x7f", b"\\health", b"/health?",
    b"/%zz", b"http://127.0.0.1/health", b"HTTP://127.0.0.1/health", b"http://127.0.0.1", b"http://evil.example/health",
    b"http://u:p@127.0.0.1/health", b"https://127.0.0.1/health", b"http:///health", b"ftp://x/", b"127.0.0.1:80", b"[::1]:80",
    b"x:99999", b"http://[::1/x", b"/" + b"a/" * 300, b"/" + b"x" * 9000, b"/health?" + b"y" * 70_000, b"/../../etc/passwd",
    b"/health HTTP/1.1 HTTP/1.1", b"ws://127.0.0.1/health",
)  # fmt: skip
VERSIONS = (
    b"HTTP/1.0", b"HTTP/1.1", b"HTTP/0.9", b"HTTP/2", b"HTTP/2.0", b"HTTP/3", b"http/1.1", b"HTTP/1.10", b"HTTP/01.1", b"HTTP/1,1",
    b"HTTP/11", b"HTTP/1.", b"HTTP/", b"", b"HTTP/1.1 ", b"ICY/1.0", b"HTTP/9.9", b"HTTP/-1.1", b"HTP/1.1",
)  # fmt: skip
NAMES = (
    b"", b" x", b"x ", b"x\t", b"x y", b"x\x00y", b"x\x7f", b"\xc3\xa9", b"x(y)", b"x@y", b"x\r", b"x\ny", b":", b"x" * 9000,
    b"transfer_encoding", b"Content-Length\x0b", b"{}", b"x,y", b'"x"',
)  # fmt: skip
FIELD_VALUES = (
    b"", b" ", b"\t", b"a\x00b", b"a\x01b", b"a\x0bb", b"a\x1b[31m", b"a\x7fb", b"a\rb", b"a\nb", b"\xff\xfe", b"\xc3\xa9", b"v" * 9000,
    b"v" * 70_000, b'"', b"a\r\n b", b"a\r\n\tb", b"a\r\n b\r\n c", b"a\r\n", b"\xed\xa0\x80", b"%s%n",
)  # fmt: skip
MEANT = (b"x", b"x-rivet-encoding", b"x-rivet-conn-params", b"x-rivet-target", b"x-rivet-actor", b"authorization", b"origin", b"cookie")
"""Headers that the server reads."""
HOSTS = (
    b"", b"evil.example", b"127.0.0.1:99999", b"127.0.0.1, evil.example", b"user@127.0.0.1", b"[::1", b"a b", b"\x00", b"\xff",
    b"localhost", b"localhost.", b"127.1", b"0", b"x" * 5000, b"http://127.0.0.1", b"127.0.0.1/..", b"[::ffff:127.0.0.1]",
)  # fmt: skip
LENGTHS = (
    b"", b"-1", b"+5", b"0x5", b"5, 5", b"5, 6", b"5,", b"5 5", b"five", b"5.0", b"00005", b"\t5", b"5\x00", b"1" * 40,
    b"18446744073709551616", b"9223372036854775807", b"4294967296", b"\xd9\xa5", b"5_0", b"1000000000", b"NaN", b"1e1",
)  # fmt: skip
CODINGS = (
    b"chunked", b"Chunked", b"chunked, chunked", b"identity", b"gzip", b"gzip, chunked", b"chunked, gzip", b"xchunked", b"chunked;q=1",
    b"", b"chunk", b"\x0bchunked", b"chunked\x00", b" chunked", b",chunked", b"identity, chunked", b"chunked,",
)  # fmt: skip
CHUNK_SIZES = (
    b"", b"-1", b"+1", b"0x1", b"1 ", b" 1", b"g", b"1" * 17, b"ffffffffffffffff", b"10000000000000000", b"1\n", b"1;", b"1;x",
    b"1;" + b"x" * 20_000, b'1;a="', b"1;\x00", b"1\r", b"7fffffffffffffff", b"00000000000000000001", b"1_0",
)  # fmt: skip
TRAILERS = (
    b"x: y", b"content-length: 5", b"transfer-encoding: chunked", b"host: evil.example", b"x", b"x : y", b": y", b"x: \x00",
    b"x: " + b"y" * 70_000, b"\r\n".join(b"x%d: y" % number for number in range(600)), b" folded",
)  # fmt: skip
OTHER_PROTOCOLS = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x12\x04\x00\x00\x00\x00\x00",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(60), b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET / HTTP/1.1\r\n\r\n",
    b"\r\n\r\n\x00\r\nQUIT\n!\x11\x00\x0c" + bytes(12), b"SSH-2.0-x\r\n", b"EHLO x\r\n", b"*1\r\n$4\r\nPING\r\n", b"\x00" * 64,
    b"\xff" * 64, b"\r\n" * 500, b"\n" * 500, b" " * 500, b"GET /health\r\n", b"\x81\x85\x00\x00\x00\x00hello",
    b"HTTP/1.1 200 OK\r\n\r\n", b"<policy-file-request/>\x00", b"stats\r\n",
)  # fmt: skip
EXTRA = (
    (b"expect", b"100-continue"), (b"expect", b"200-maybe"), (b"connection", b"close"), (b"connection", b"keep-alive, upgrade"),
    (b"connection", b"host, content-length"), (b"upgrade", b"h2c"), (b"upgrade", b"websocket"), (b"upgrade", b"TLS/1.0"),
    (b"te", b"trailers"), (b"http2-settings", b"AAMAAABkAAQAoAAAAAIAAAAA"), (b"accept-encoding", b"gzip;q=2"),
    (b"content-encoding", b"gzip"), (b"range", b"bytes=-"), (b"origin", b"null"), (b"origin", b"http://127.0.0.1"),
    (b"cookie", b"a=b; " * 300), (b"x-forwarded-for", b"1.2.3.4, \xff"), (b"content-type", b"text/plain"),
    (b"authorization", b"Bearer \xff"), (b"forwarded", b'for="[::1'), (b"max-forwards", b"-1"), (b"keep-alive", b"x"),
)  # fmt: skip


@dataclass(slots=True)
class Draft:
    """A request before it is bytes."""

    method: bytes = b"POST"
    target: bytes = b"/health"
    version: bytes = b"HTTP/1.1"
    host: list[bytes] = field(default_factory=lambda: [HOST])
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    framing: list[bytes] | None = None
    """Lines that say how long the body is; the right one when None."""
    colon: bytes = b": "
    end: bytes = b"\r\n"
    gap: bytes = b" "

    def to_bytes(self) -> bytes:
        """As it is written."""
        lines = [self.gap.join((self.method, self.target, self.version))]
        lines += [b"host" + self.colon + host for host in self.host]
        lines += [name + self.colon + value for name, value in self.fields]
        if self.framing is not None:
            lines += self.framing
        elif self.body or self.method in (b"POST", b"PUT", b"PATCH"):
            lines.append(b"content-length: %d" % len(self.body))
        return self.end.join(lines) + self.end * 2 + self.body


JSON, CBOR, BARE = b"json", b"cbor", b"bare"
CALLS = (*documents.ACTION_REQUEST, *documents.QUEUE_REQUEST)
BODIES = {
    JSON: documents.json_documents((*CALLS, (("state", documents.ANY),), (("sql", documents.ANY),))),
    CBOR: documents.cbor_documents(CALLS),
    BARE: bare.versioned((*bare.ACTION, *bare.QUEUE_REQUEST)),
}


JSON_TYPE = (b"content-type", b"application/json")
CREATION = b'{"name":"fuzzed","key":"p","runner_name_selector":"default","crash_policy":"sleep"}'


def gateway(path: bytes, key: bytes = b"one") -> bytes:
    """The target of a request to the actor that the live server has."""
    return b"/gateway/fuzzed" + path + b"?rvt-namespace=default&rvt-method=getOrCreate&rvt-pool=default&rvt-key=" + key


def ordinary(chance: Random) -> Draft:
    """A request with which nothing is wrong."""
    action, actors = gateway(pick(chance, (b"/action/echo", b"/action/keep", b"/action/say"))), b"/actors?namespace=default"
    return pick(
        chance,
        (
            Draft(b"GET"),
            Draft(b"GET", b"/metadata"),
            Draft(b"GET", actors + b"&name=fuzzed"),
            Draft(b"PUT", actors, fields=[JSON_TYPE], body=CREATION),
            Draft(b"POST", action, fields=[(b"x-rivet-encoding", JSON)], body=b'{"args":[1]}'),
            Draft(b"POST", action, fields=[(b"x-rivet-encoding", CBOR)], body=b"\xa1\x64args\x81\x01"),
            Draft(b"POST", gateway(b"/queue/work"), fields=[(b"x-rivet-encoding", JSON)], body=b'{"body":1}'),
            Draft(pick(chance, METHODS[:8]), gateway(b"/request/some/where"), body=b"hello"),
            Draft(b"GET", gateway(b"/inspector/state"), fields=[(b"authorization", b"Bearer token")]),
        ),
    )


# Rules, each broken by one function.


def _method(chance: Random, draft: Draft) -> None:
    draft.method = pick(chance, METHODS)


def _target(chance: Random, draft: Draft) -> None:
    draft.target = pick(chance, TARGETS)


def _version(chance: Random, draft: Draft) -> None:
    draft.version = pick(chance, VERSIONS)


def _line(chance: Random, draft: Draft) -> None:
    draft.gap = pick(chance, (b"  ", b"\t", b"", b"\x0b", b"\r", b" \x00"))


def _end(chance: Random, draft: Draft) -> None:
    draft.end = pick(chance, (b"\n", b"\r", b"\r\r\n", b"\n\r", b"\x00\r\n", b" \r\n"))


def _name(chance: Random, draft: Draft) -> None:
    draft.fields.append((pick(chance, NAMES), b"v"))


def _value(chance: Random, draft: Draft) -> None:
    draft.fields.append((pick(chance, MEANT), addresses.params(chance)[:8000] if chance.random() < 0.3 else pick(chance, FIELD_VALUES)))


def _colon(chance: Random, draft: Draft) -> None:
    draft.colon = pick(chance, (b":", b" : ", b"", b"=", b":\x00", b"\t: ", b"::"))


def _host(chance: Random, draft: Draft) -> None:
    draft.host = pick(chance, ([], [HOST, HOST], [HOST, b"evil.example"], [pick(chance, HOSTS)], [pick(chance, HOSTS)]))


def _length(chance: Random, draft: Draft) -> None:
    lines = (
        [b"content-length: " + pick(chance, LENGTHS)],
        [b"content-length: 5", b"content-length: " + pick(chance, (b"5", b"6", b"x"))],
        [b"content-length: %d" % (len(draft.body) + pick(chance, (-1, 1, 1000)))],
    )
    draft.framing = pick(chance, lines)


def _coding(chance: Random, draft: Draft) -> None:
    draft.framing = [b"transfer-encoding: " + pick(chance, CODINGS)]
    if chance.random() < 0.4:
        draft.framing.insert(int(chance.random() * 2), b"content-length: %d" % len(draft.body))
    if chance.random() < 0.2:
        draft.framing.append(b"transfer-encoding: chunked")
    draft.body = b"%x\r\n" % len(draft.body) + draft.body + b"\r\n0\r\n\r\n"


def _chunks(chance: Random, draft: Draft) -> None:
    draft.framing = [b"transfer-encoding: chunked"]
    parts = [b"1\r\nx\r\n"] * upto(chance, 30)
    wrong = pick(chance, CHUNK_SIZES) + pick(chance, (b"\r\n", b"\n", b"")) + b"x" + pick(chance, (b"\r\n", b"", b"yy\r\n"))
    parts.insert(int(chance.random() * (len(parts) + 1)), wrong)
    draft.body = b"".join(parts) + pick(chance, (b"0\r\n", b"0\r\n", b"0", b"", b"00000\r\n")) + pick(chance, (b"\r\n", b"", b"x"))


def _trailers(chance: Random, draft: Draft) -> None:
    draft.framing = [b"transfer-encoding: chunked"]
    draft.body = b"1\r\nx\r\n0\r\n" + pick(chance, TRAILERS) + pick(chance, (b"\r\n\r\n", b"\n\n", b""))


def _many(chance: Random, draft: Draft) -> None:
    draft.fields += [(b"x%d" % number, b"v") for number in range(pick(chance, (50, 200, 300, 3000)))]


def _extra(chance: Random, draft: Draft) -> None:
    draft.fields += [pick(chance, EXTRA) for _ in range(1 + upto(chance, 3))]


def _twice(chance: Random, draft: Draft) -> None:
    if draft.fields:
        draft.fields += draft.fields * (1 + upto(chance, 4))


def _url(chance: Random, draft: Draft) -> None:
    path, query = addresses.gateway(chance)
    draft.target = path + b"?" + query if chance.random() < 0.9 else path


def _rest(chance: Random, draft: Draft) -> None:
    draft.method = pick(chance, METHODS[:7])
    one = b"/actors/" + addresses.identifier(chance).encode()[:80]
    draft.target = (
        pick(chance, (b"/actors", b"/actors/names", b"/namespaces", b"/runners", b"/envoys", b"/runner-configs", one))
        + b"?"
        + addresses.rest_query(chance)[:4000]
    )


RULES: tuple[Callable[[Random, Draft], None], ...] = (
    _method, _target, _version, _line, _end, _name, _value, _value, _colon, _host, _length, _coding, _chunks, _trailers, _many, _extra,
    _twice, _url, _rest,
)  # fmt: skip


def _pieces(chance: Random, data: bytes) -> tuple[bytes, ...]:
    """Mostly at once; also byte by byte, in two, or cut off."""
    point = chance.random()
    if point < 0.1 and len(data) < 600:
        return tuple(data[at : at + 1] for at in range(len(data)))
    if point < 0.25:
        at = int(chance.random() * (len(data) + 1))
        return (data[:at], data[at:]) if point < 0.2 else (data[:at],)
    return (data,)


def broken(chance: Random) -> Exchange:
    """A request with one to three rules broken, or what is no request at all; sometimes several at once."""
    if chance.random() < 0.08:
        data = pick(chance, OTHER_PROTOCOLS)
        return Exchange("no HTTP", _pieces(chance, data + (ordinary(chance).to_bytes() if chance.random() < 0.3 else b"")))
    draft = ordinary(chance)
    for _ in range(1 + upto(chance, 2)):
        pick(chance, RULES)(chance, draft)
    data = draft.to_bytes()
    point = chance.random()
    if point < 0.15:
        data = mutated(chance, data)
    elif point < 0.3:
        # Pipelined: before a good one, after a good one, or in between.
        good = ordinary(chance).to_bytes()
        data = pick(chance, (data + good, good + data, good * 3 + data, good + data + good))
    elif point < 0.33:
        data = b"\r\n" * upto(chance, 5) + data
    return Exchange("HTTP", _pieces(chance, data))


def call(chance: Random) -> Exchange:
    """A right request with the wrong body or the wrong parameters, which has to be answered."""
    encoding = pick(chance, (JSON, CBOR, BARE))
    targets = (
        gateway(b"/action/echo"), gateway(b"/action/keep"), gateway(b"/action/say"), gateway(b"/queue/work"), gateway(b"/request/x"),
        gateway(b"/inspector/state"), gateway(b"/inspector/queue"), gateway(b"/inspector/action/echo"),
        gateway(b"/inspector/database/execute"), b"/actors?namespace=default", b"/namespaces",
    )  # fmt: skip
    draft = Draft(pick(chance, (b"POST", b"POST", b"POST", b"PUT", b"PATCH")), pick(chance, targets), body=BODIES[encoding](chance))
    draft.fields = [(b"x-rivet-encoding", encoding), JSON_TYPE, (b"authorization", b"Bearer token")]
    if chance.random() < 0.1:
        params = addresses.params(chance).replace(b"\r", b"").replace(b"\n", b"").replace(b"\x00", b"")
        draft.fields.append((b"x-rivet-conn-params", params[:4000]))
    return Exchange("body", (draft.to_bytes(),), whole=True)
