"""The Python twins of the values in tests/peer/golden.mjs, and the bytes that script feeds to the JS client.

`python -m tests.runtime.golden_values` writes golden/answers.json; golden.mjs then writes golden/accepted.json.
"""

import array
import json
import math
import re
from datetime import UTC, datetime
from pathlib import Path

from runtime.protocol import connection_frames, http_bodies
from runtime.protocol.encodings import Encoding
from runtime.protocol.messages import ActionResponse, ActorSpecifier, ErrorFrame, Event, Init, QueueResult, WireError
from runtime.protocol.values import UNDEFINED, ArrayBuffer, BigInt, Map, RegExp

GOLDEN = Path(__file__).parent / "golden"
ACTOR_ID = "5jxlv5boumuljx2d2nvyat0o2edl00"

VALUES = {
    "null": None,
    "undefined": UNDEFINED,
    "true": True,
    "false": False,
    "zero": 0,
    "negative_zero": -0.0,
    "one": 1,
    "negative": -1,
    "byte": 255,
    "uint32_max": 2**32 - 1,
    "two_32": 2**32,
    "negative_two_32": -(2**32),
    "below_negative_two_32": -(2**32) - 1,
    "tera": 2**40,
    "max_safe": 2**53 - 1,
    "min_safe": -(2**53) + 1,
    "float": 1.5,
    "tiny": 5e-324,
    "huge_float": 1e300,
    "nan": math.nan,
    "infinity": math.inf,
    "big_small": BigInt(5),
    "big_64": 2**63,
    "big_negative": -(2**63),
    "big_100": 2**100,
    "empty_text": "",
    "text": "hello",
    "unicode": 'h\u00e9llo \U0001f600 \0 "\\',
    "bytes": bytes([0, 1, 2, 254, 255]),
    "empty_bytes": b"",
    "array_buffer": ArrayBuffer(b"\x01\x02\x03"),
    "float32": array.array("f", [1.5, -2]),
    "uint16": array.array("H", [1, 65535]),
    "int64": array.array("q", [1, -1]),
    "date": datetime.fromtimestamp(1700000000, UTC),
    "date_millis": datetime.fromtimestamp(1700000000.123, UTC),
    "date_early": datetime.fromtimestamp(-86400, UTC),
    "regexp": re.compile("a+b", re.IGNORECASE),
    "set": {1, "two", 3.5},
    "empty_set": set(),
    "map": Map({"a": 1, "b": [2]}),
    "map_of_numbers": {1: "one", 2: "two"},
    "empty_list": [],
    "list": [1, 2, 3],
    "pair": ["a", "b"],
    "tag_lookalike": ["$Undefined", 0],
    "dollar_pair": ["$x", 1],
    "dollars_pair": ["$$x", 1],
    "dollar_triple": ["$x", 1, 2],
    "dollar_single": ["$x"],
    "dollar_text": "$Undefined",
    "empty_object": {},
    "object": {"a": 1, "b": "two", "c": None},
    "dollar_member": {"$Undefined": 0, "$set": ["$y", 2]},
    "undefined_member": {"a": UNDEFINED, "b": 1},
    "nested": {
        "list": [{"deep": [[["x"]]]}, [], {}],
        "text": "y",
        "big": 2**70,
        "set": {("$q", 1)},
        "bytes": b"\x07",
    },
    "undefined_in_list": [UNDEFINED, None, 1],
}

ERRORS = {
    "plain": WireError("user", "no", "Nope"),
    "full": WireError("user", "no", "N\u00f6pe", {"a": 1, "pair": ["$x", 1]}, ActorSpecifier(ACTOR_ID, 2, "k")),
    "no_key": WireError("rivetkit", "internal_error", "An internal error occurred", actor=ActorSpecifier(ACTOR_ID, 1, None)),
}


def same(left, right):
    """Whether `left` is what is received for `right`: NaN equals itself, and what `==` takes for the same differs, as 1 and True."""
    if isinstance(right, re.Pattern):
        return left == RegExp.of(right)
    if isinstance(left, float) and isinstance(right, float):
        return left == right or (math.isnan(left) and math.isnan(right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return left == right


def answers(encoding):
    """What a server of this project answers, by kind and value name, as hexadecimal."""
    action = {name: http_bodies.encode_action_response(value, encoding).hex() for name, value in VALUES.items()}
    queue = {name: http_bodies.encode_queue_response(QueueResult("completed", value), encoding).hex() for name, value in VALUES.items()}
    error = {name: http_bodies.encode_error(value, encoding).hex() for name, value in ERRORS.items()}
    return {"http": {"action": action, "queue": queue, "error": error}, "socket": _frames(encoding)}


def _frames(encoding):
    def frame(message):
        encoded = connection_frames.encode_to_client(message, encoding)
        return (encoded.encode() if isinstance(encoded, str) else encoded).hex()

    return {
        "init": frame(Init(ACTOR_ID, "11111111-2222-4333-8444-555555555555")),
        "action": {name: frame(ActionResponse(number, value)) for number, (name, value) in enumerate(VALUES.items())},
        "error": {name: frame(ErrorFrame(error, len(VALUES) + number)) for number, (name, error) in enumerate(ERRORS.items())},
        "event": {name: frame(Event("tick", [value])) for name, value in VALUES.items()},
        "event_args": {"dollar": frame(Event("tick", ["$x", 1])), "none": frame(Event("tick", []))},
    }


def all_answers():
    """The content of answers.json."""
    return {str(encoding): answers(encoding) for encoding in Encoding}


if __name__ == "__main__":
    (GOLDEN / "answers.json").write_text(json.dumps(all_answers(), indent=1) + "\n")
