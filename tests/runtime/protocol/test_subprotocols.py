"""The entries that a WebSocket client offers."""

import json

from runtime.protocol import subprotocols
from tests.runtime.golden_values import ACTOR_ID, GOLDEN

OFFERED = {entry["name"]: entry["protocols"] for entry in json.loads((GOLDEN / "sent.json").read_text())["urls"]}


def test_entries_are_offered_as_the_js_client_does():
    assert subprotocols.offered("bare") == OFFERED["get"]
    assert subprotocols.offered("bare", params_json='{"a b":"\u00e9/\\"","n":[1,null]}') == OFFERED["params"]
    assert subprotocols.offered("bare", skip_ready_wait=True) == OFFERED["skip"]
    assert subprotocols.offered("bare", actor_id=ACTOR_ID, token="t", skip_ready_wait=True) == OFFERED["skip_by_id"]


def test_entry_values():
    entries = ["rivet", "rivet_encoding.cbor", "rivet_encoding.json", "other"]
    assert subprotocols.entry_value(entries, subprotocols.ENCODING_PREFIX) == "cbor"
    assert subprotocols.entry_value(entries, subprotocols.ACTOR_PREFIX) is None
