"""Creation input of REST bodies and gateway queries (WIRE-170, WIRE-172)."""

import base64

import cbor2
import pytest

from runtime.errors import ActorError
from runtime.hosting.standalone.rest.bodies import PutRunnerConfig, decode_body, decode_input
from runtime.hosting.standalone.rest.request import MAX_LIMIT, Query


def test_input_has_a_limit():
    data = b"\x5a" + (3_145_728 - 5).to_bytes(4, "big") + b"x" * (3_145_728 - 5)
    fits = base64.b64encode(data).decode()
    assert len(fits) == 4_194_304
    assert decode_input(fits) == data
    with pytest.raises(ActorError) as caught:
        decode_input(fits + "AAAA")
    assert (caught.value.name, caught.value.message) == ("actor.input_too_large", "Input too large (max 4194304).")


@pytest.mark.parametrize("value", ["$Nope", ["$Nope", 1], ["$BigInt", ["x"]]], ids=repr)
def test_input_that_no_start_could_read_is_refused(value):
    text = base64.b64encode(cbor2.dumps(value)).decode()
    if value == "$Nope":
        assert decode_input(text) is not None
    else:
        with pytest.raises(ActorError, match="input"):
            decode_input(text)


def test_a_body_nested_beyond_the_stack_is_a_bad_request():
    body = b'{"datacenters":{"default":' + b"[" * 100_000 + b"]" * 100_000 + b"}}"
    with pytest.raises(ActorError) as caught:
        decode_body(PutRunnerConfig, b"application/json", body)
    assert caught.value.name == "api.bad_request"


@pytest.mark.parametrize("text", ["9" * 5_000, "9" * 19, "-1", "+1", "1_0", "1.0", "%D9%A3", "1e3", "%201"])
def test_numbers_of_queries_are_plain_digits(text):
    query = Query(f"limit={text}&cursor={text}".encode(), None)
    if text[0] == "9":
        assert query.limit() == MAX_LIMIT
    else:
        with pytest.raises(ActorError, match="non-negative integer"):
            query.limit()
    if text == "-1":
        assert query.before() == -1
    else:
        with pytest.raises(ActorError) as caught:
            query.before()
        assert caught.value.name == "core.internal_error"
