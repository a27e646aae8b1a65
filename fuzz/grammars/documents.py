"""The messages of the protocol as documents, whole or with wrong members, in JSON and in CBOR."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from fuzz.grammars import cbor, json_text, leaves
from fuzz.grammars.mutation import seldom_mutated
from fuzz.source import pick, upto

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random


class _Anything:
    """Stands for a value that the grammar of the encoding makes."""


ANY: Final = _Anything()
ID: Final = _Anything()
"""An action id: of 64 bits in CBOR, in the compat form in JSON."""

Members = tuple[tuple[str, Any], ...]
ACTOR: Members = (("actorId", "a" * 30), ("generation", 1), ("key", "k"))
FAULT: Members = (("group", "user"), ("code", "odd"), ("message", "it is odd"), ("metadata", ANY), ("actor", ACTOR))


def _message(tag: str, value: Members) -> Members:
    return (("body", (("tag", tag), ("val", value))),)


TO_SERVER = (
    _message("ActionRequest", (("id", ID), ("name", "echo"), ("args", ANY))),
    _message("ActionRequest", (("id", ID), ("name", "echo"), ("args", [ANY, ANY]))),
    _message("SubscriptionRequest", (("eventName", "said"), ("subscribe", True))),
)  # fmt: skip
TO_CLIENT = (
    _message("Init", (("actorId", "a" * 30), ("connectionId", "c" * 36))), _message("ActionResponse", (("id", ID), ("output", ANY))),
    _message("Event", (("name", "said"), ("args", [ANY]))), _message("Error", (*FAULT, ("actionId", ID))),
)  # fmt: skip
ACTION_REQUEST: tuple[Members, ...] = ((("args", [ANY, ANY]),), (("args", ANY),), ())
ACTION_RESPONSE: tuple[Members, ...] = ((("output", ANY),),)
QUEUE_REQUEST: tuple[Members, ...] = ((("body", ANY), ("name", "work"), ("wait", True), ("timeout", 1000)), (("body", ANY),))
QUEUE_RESPONSE: tuple[Members, ...] = ((("status", "completed"), ("response", ANY)),)
ERROR: tuple[Members, ...] = (FAULT,)


def shaken(chance: Random, part: Any, share: float) -> Any:
    """The same document, in which each part is now and then missing, another, twice, or under another name."""
    if isinstance(part, tuple):
        members: list[tuple[str, Any]] = []
        for name, value in part:
            point = chance.random()
            if point < share / 3:
                continue
            members.append((pick(chance, leaves.MEMBERS) if point < share / 2 else name, shaken(chance, value, share)))
            if point > 1 - share / 3:
                members.append((name, ANY))
        return tuple(members)
    if isinstance(part, list):
        return [shaken(chance, value, share) for value in part for _ in range(1 if chance.random() > share / 2 else upto(chance, 3))]
    return ANY if chance.random() < share else part


def as_cbor(chance: Random, part: Any) -> bytes:
    """The document with items of the CBOR grammar in it."""
    if part is ID:
        return cbor.head(0, leaves.integer(chance) & (2**64 - 1), 8)
    if part is ANY:
        return cbor.item(chance, 2)
    if isinstance(part, tuple):
        return cbor.any_head(chance, 5, len(part)) + b"".join(cbor.text(name) + as_cbor(chance, value) for name, value in part)
    if isinstance(part, list):
        return cbor.any_head(chance, 4, len(part)) + b"".join(as_cbor(chance, value) for value in part)
    if isinstance(part, bool):
        return b"\xf5" if part else b"\xf4"
    if isinstance(part, bytes):
        return cbor.any_head(chance, 2, len(part)) + part
    return cbor.text(part) if isinstance(part, str) else cbor.any_head(chance, 0, part)


def as_json(chance: Random, part: Any) -> str:
    """The document with values of the JSON grammar in it."""
    if part is ID:
        return f'["$BigInt","{leaves.integer(chance)}"]' if chance.random() < 0.8 else json_text.number(chance)
    if part is ANY:
        return json_text.value(chance, 2)
    if isinstance(part, tuple):
        return "{" + ",".join(f"{json.dumps(name)}:{as_json(chance, value)}" for name, value in part) + "}"
    if isinstance(part, list):
        return f"[{','.join(as_json(chance, value) for value in part)}]"
    return json.dumps(part)


def cbor_documents(shapes: tuple[Members, ...]) -> Callable[[Random], bytes]:
    """A grammar of documents of these shapes."""
    return lambda chance: seldom_mutated(chance, as_cbor(chance, shaken(chance, pick(chance, shapes), 0.08)), 0.25)


def json_documents(shapes: tuple[Members, ...]) -> Callable[[Random], bytes]:
    """The same in JSON."""
    return lambda chance: seldom_mutated(
        chance, json_text.encoded(chance, as_json(chance, shaken(chance, pick(chance, shapes), 0.08))), 0.25
    )
