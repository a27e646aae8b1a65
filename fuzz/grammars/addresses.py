"""What stands in targets and headers: keys, ids, gateway URLs, queries, sub-protocol entries, connection parameters."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from urllib.parse import quote

from fuzz.grammars import cbor, json_text, leaves
from fuzz.grammars.mutation import seldom_mutated
from fuzz.source import pick, upto
from runtime.protocol.ids import encode_id

if TYPE_CHECKING:
    from random import Random

ESCAPES = (
    "%00", "%2F", "%2f", "%40", "%23", "%3F", "%", "%2", "%zz", "%ED%A0%80", "%C0%80", "%F4%90%80%80", "%25", "%250", "+", "%2B",
    "%0D%0A", "\u00e9",
)  # fmt: skip
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
REST_PARAMETERS = ("namespace", "name", "key", "actor_ids", "limit", "cursor", "include_destroyed", "other")
PARAMETERS = (
    "rvt-namespace", "rvt-method", "rvt-runner", "rvt-pool", "rvt-key", "rvt-input", "rvt-region", "rvt-crash-policy", "rvt-token",
    "rvt-skip-ready-wait", "rvt-", "rvt-unknown", "RVT-KEY", "namespace", "name", "key", "actor_ids", "limit", "cursor",
    "include_destroyed",
)  # fmt: skip
VALUES = (
    "", "default", "get", "getOrCreate", "sleep", "destroy", "true", "false", "1", "0", "a,b", ",", ",,,", "nothing", "-1", "1" * 5000,
    "1e9", "\u0663", "2" * 19,
)  # fmt: skip
ENTRIES = (
    "rivet", "rivet_encoding.", "rivet_target.", "rivet_actor.", "rivet_token.", "rivet_conn_params.", "rivet_inspector_token.",
    "rivet_skip_ready_wait", "rivet_unknown.",
)  # fmt: skip


def key_text(chance: Random) -> str:
    """A serialized key: parts, escapes, and escapes of nothing."""
    return "".join(
        pick(chance, ("/", "\\", "\\0", "\\/", "\\\\", "\\x", "a", "0")) if chance.random() < 0.6 else leaves.text(chance)
        for _ in range(upto(chance, 12))
    )


def identifier(chance: Random) -> str:
    """Thirty digits of base 36, or nearly."""
    if chance.random() < 0.5:
        made = encode_id(chance.getrandbits(128).to_bytes(16, "big"), pick(chance, (0, 1, 1, 2, 65535)))
    else:
        made = "".join(pick(chance, DIGITS) for _ in range(30 if chance.random() < 0.7 else upto(chance, 62)))
    point = chance.random()
    if point < 0.5 or not made:
        return made
    at = int(chance.random() * len(made))
    return made[:at] + pick(chance, ("\u0130", "-", "_", " ", "Z", "\u0660", "%30", "\ud7ff")) + made[at + 1 :]


def escaped(chance: Random) -> str:
    """A text as it travels in a target, now and then wrongly escaped."""
    made = quote(leaves.text(chance), safe="")
    return made + pick(chance, ESCAPES) if chance.random() < 0.3 else made


def creation_input(chance: Random) -> str:
    """CBOR in base64 of one alphabet or the other, damaged now and then."""
    data = cbor.item(chance, 2)[:6000]
    made = (base64.urlsafe_b64encode if chance.random() < 0.8 else base64.b64encode)(data).decode()
    return seldom_mutated(chance, made.rstrip("=").encode(), 0.1).decode("latin-1")


def query(chance: Random) -> str:
    """Parameters of the gateway and of the REST API, right and wrong ones, some twice."""
    pairs = []
    if chance.random() < 0.7:
        pairs = [
            "rvt-namespace=default",
            f"rvt-method={pick(chance, ('get', 'getOrCreate'))}",
            "rvt-pool=default",
            f"rvt-key={escaped(chance)}",
        ]
    if chance.random() < 0.3:
        pairs.append(f"rvt-input={creation_input(chance)}")
    for _ in range(upto(chance, 4)):
        value = pick(chance, VALUES) if chance.random() < 0.7 else escaped(chance)
        pairs.insert(int(chance.random() * (len(pairs) + 1)), f"{pick(chance, PARAMETERS)}{pick(chance, ('=', '=', '=', '', '=='))}{value}")
    if pairs and chance.random() < 0.1:
        del pairs[int(chance.random() * len(pairs))]
    return pick(chance, ("&", "&", "&", ";", "&&")).join(pairs)


def gateway(chance: Random) -> tuple[bytes, bytes]:
    """Path and query of a request below `/gateway`."""
    segments = ["gateway" if chance.random() < 0.95 else escaped(chance)]
    segments.append(pick(chance, (identifier(chance), "fuzzed", escaped(chance))))
    if chance.random() < 0.3:
        segments[-1] += "@" + escaped(chance)
    segments += [
        pick(chance, ("action", "request", "connect", "websocket", "queue", "inspector", "", "..", "#", escaped(chance)))
        for _ in range(upto(chance, 4))
    ]
    path = "/" + "/".join(segments)
    return seldom_mutated(chance, path.encode(), 0.2), seldom_mutated(chance, query(chance).encode(), 0.2)


def rest_query(chance: Random) -> bytes:
    """A query of the REST API."""
    made = "&".join(
        f"{pick(chance, REST_PARAMETERS)}={pick(chance, VALUES) if chance.random() < 0.6 else escaped(chance)}"
        for _ in range(upto(chance, 6))
    )
    return seldom_mutated(chance, made.encode(), 0.3)


def params(chance: Random) -> bytes:
    """Connection parameters as JSON."""
    return json_text.encoded(chance, json_text.value(chance, 2))


def entries(chance: Random) -> list[str]:
    """Sub-protocol entries of a WebSocket, as a server hands them on."""
    made = ["rivet", f"rivet_encoding.{pick(chance, ('json', 'cbor', 'bare', 'x', ''))}"] if chance.random() < 0.8 else []
    for _ in range(upto(chance, 4)):
        entry = pick(chance, ENTRIES)
        value = quote(params(chance)[:2000]) if entry == "rivet_conn_params." and chance.random() < 0.8 else escaped(chance)
        made.append(entry + value)
    return made
