"""Connection parameters of a WebSocket."""

from __future__ import annotations

import pytest

from runtime.actor.connections.params import check_params, socket_params
from tests.runtime.connections.fakes import Socket


@pytest.mark.parametrize(
    ("entry", "params"),
    [("rivet", None), ("rivet_conn_params.%7B%22a%22%3A%5B1%5D%7D", {"a": [1]}), ("rivet_conn_params.null", None)],
)
def test_parameters_come_from_their_entry(entry, params):
    assert socket_params(Socket(protocols=("rivet", entry)).upgrade) == params


@pytest.mark.parametrize(
    "text",
    [
        "", "%7B", "%FF", "undefined", "[" * 5_000, '["$Set",[' * 240 + "]]" * 240, '["$Nope",1]', '["$BigInt","' + "9" * 4_301 + '"]',
        "1e999", "%EF%BB%BF1", "%5C%75d800", '"%5Cud800"', "9" * 5_000, "%ED%A0%80",
        "[" * 129 + "]" * 129,
    ],
    ids=range(15),
)  # fmt: skip
def test_undecodable_parameters(text):
    with pytest.raises(ValueError):
        socket_params(Socket(protocols=(f"rivet_conn_params.{text}",)).upgrade)


def test_without_a_schema_anything_goes():
    assert check_params(None, {"any": "thing"}) == {"any": "thing"}
