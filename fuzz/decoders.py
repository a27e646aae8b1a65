"""Every function that takes bytes or text of strangers, with the grammar of its inputs and the one way in which it may refuse them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from fuzz.grammars import addresses, bare, cbor, documents, json_text, rows
from runtime.actor.connections.hibernation import records as connections
from runtime.actor.queue.records import load_messages
from runtime.actor.schedule.records import Schedule
from runtime.errors import ActorError
from runtime.hosting.standalone import records
from runtime.hosting.standalone.rest import bodies
from runtime.hosting.standalone.rest.request import Query
from runtime.inspector.versions import decode_request
from runtime.protocol import cbor as cbor_format
from runtime.protocol import http_bodies, jsontext
from runtime.protocol.connection_frames import decode_to_client, decode_to_server
from runtime.protocol.decode_errors import DecodeError, reading
from runtime.protocol.encodings import Encoding
from runtime.protocol.gateway_url import parse_gateway_path
from runtime.protocol.ids import parse_id
from runtime.protocol.keys import parse_key, serialize_key
from runtime.protocol.payload import blob, load_value, value_of
from runtime.protocol.subprotocols import PARAMS_PREFIX, entry_value
from runtime.protocol.values import to_wire
from runtime.workflow.history import History

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from fuzz.grammars.documents import Members


@dataclass(frozen=True, slots=True)
class Decoder:
    """One decoder.

    Attributes:
        name: What the command line calls it.
        make: Its grammar.
        decode: Takes an input; what it returns does not matter.
        refusal: The only exception that may come out of it.
    """

    name: str
    make: Callable[[Random], Any]
    decode: Callable[[Any], Any]
    refusal: type[Exception] = DecodeError


def _echoed(value: Any) -> None:
    """What an actor does that answers with what it was asked: as large a value must not come out of few bytes."""
    try:
        blob(value)
        jsontext.dumps(to_wire(value))
    except ValueError:
        return


def _call(data: bytes, encoding: Encoding) -> None:
    frame: Any = data.decode("utf-8", "replace") if encoding is Encoding.JSON and len(data) % 2 else data
    message = decode_to_server(frame, encoding)
    _echoed(getattr(message, "args", None))


def _params(text: bytes) -> None:
    entry = entry_value([PARAMS_PREFIX + text.decode("latin-1")], PARAMS_PREFIX)
    try:
        decoded = unquote(entry or "", errors="strict").encode()
    except UnicodeError as error:
        raise DecodeError(str(error)) from error
    value_of(jsontext.loads(decoded))


def _key(text: str) -> None:
    assert parse_key(serialize_key(parse_key(text))) == parse_key(text)


def _identifier(text: str) -> None:
    try:
        parse_id(text)
    except ValueError as error:
        if type(error) is ValueError:
            raise DecodeError(str(error)) from error
        raise


def _query(raw: bytes) -> None:
    query = Query(raw, frozenset(addresses.REST_PARAMETERS[:-1]), frozenset({"actor_ids"}))
    query.required("namespace")
    query.items("actor_ids")
    query.flag("include_destroyed")
    query.limit()
    query.before()


def _body(data: bytes) -> None:
    for kind in (bodies.CreateActor, bodies.GetOrCreateActor, bodies.CreateNamespace, bodies.PutRunnerConfig, bodies.Empty):
        try:
            bodies.decode_body(kind, b"application/json", data)
        except ActorError:
            continue


def _connection(given: tuple[bytes, bytes]) -> None:
    fixed, changing = given
    found, broken = connections.load({connections.CONN: [(b"c", fixed)], connections.CONN_STATE: [(b"c", changing)]})
    assert found or broken


def _schedule(data: bytes) -> None:
    # As the book of schedules reads it; a row that cannot be read may take neither time nor memory.
    with reading("schedules"):
        Schedule.load(b"s", data)


def _messages(data: bytes) -> None:
    with reading("the queue"):
        load_messages([(b"\x01", data)])


def _create(chance: Random) -> bytes:
    shape: Members = (
        ("name", "fuzzed"),
        ("runner_name_selector", "default"),
        ("crash_policy", "sleep"),
        ("key", "k"),
        ("input", documents.ANY),
    )
    return json_text.encoded(chance, documents.as_json(chance, documents.shaken(chance, shape, 0.1)))


def _both(
    name: str,
    shapes: tuple[Members, ...],
    layouts: tuple[bare.Layout, ...],
    decode: Callable[[bytes, Encoding], Any],
) -> list[Decoder]:
    """One message in the three encodings."""
    return [
        Decoder(f"{name}-json", documents.json_documents(shapes), lambda data: decode(data, Encoding.JSON)),
        Decoder(f"{name}-cbor", documents.cbor_documents(shapes), lambda data: decode(data, Encoding.CBOR)),
        Decoder(f"{name}-bare", bare.versioned(layouts), lambda data: decode(data, Encoding.BARE)),
    ]


ALL: tuple[Decoder, ...] = (
    Decoder("cbor", cbor.cbor, cbor_format.loads),
    Decoder("value", cbor.cbor, lambda data: _echoed(load_value(data))),
    Decoder("json", json_text.json_text, jsontext.loads),
    *_both("frame", documents.TO_SERVER, bare.TO_SERVER, _call),
    *_both("client-frame", documents.TO_CLIENT, bare.TO_CLIENT, decode_to_client),
    *_both("action", documents.ACTION_REQUEST, bare.ACTION, http_bodies.decode_action_request),
    *_both("output", documents.ACTION_RESPONSE, bare.ACTION, http_bodies.decode_action_response),
    *_both("queue", documents.QUEUE_REQUEST, bare.QUEUE_REQUEST, http_bodies.decode_queue_request),
    *_both("queue-result", documents.QUEUE_RESPONSE, bare.QUEUE_RESPONSE, http_bodies.decode_queue_response),
    *_both("error", documents.ERROR, bare.ERROR, http_bodies.decode_error),
    Decoder("inspector", bare.inspector, lambda given: decode_request(*given)),
    Decoder("gateway-url", addresses.gateway, lambda given: parse_gateway_path(*given)),
    Decoder("params", addresses.params, _params),
    Decoder("key", addresses.key_text, _key),
    Decoder("id", addresses.identifier, _identifier),
    Decoder("rest-query", addresses.rest_query, _query, ActorError),
    Decoder("rest-body", _create, _body, ActorError),
    Decoder("rest-input", addresses.creation_input, bodies.decode_input, ActorError),
    Decoder("row-actor", rows.row(rows.RECORD), records.decode),
    Decoder("row-connection", rows.connection, _connection),
    Decoder("row-schedule", rows.row(rows.SCHEDULE), _schedule),
    Decoder("row-queue", rows.row(rows.MESSAGE), _messages),
    Decoder("row-workflow", rows.workflow, History.load),
)
BY_NAME = {one.name: one for one in ALL}
