"""What every host says of a generation."""

from runtime.errors import make_error
from runtime.gateway.actor_headers import actor_headers
from runtime.hosting.generation import MAX_CRASH_BYTES, crash_text, identify
from runtime.protocol import cbor
from runtime.protocol.values import UNDEFINED


def test_an_identity_of_what_travels():
    identity = identify("a", "thing", "x/y", namespace="n", generation=3, input_cbor=cbor.dumps({"k": 1}))
    assert (identity.key, identity.generation, identity.input) == (("x", "y"), 3, {"k": 1})
    bare = identify("a", "thing", None, namespace="n", generation=1, input_cbor=None)
    assert (bare.key, bare.input) == (None, UNDEFINED)


def test_headers_name_the_actor_and_leave_out_a_key_that_no_header_can_hold():
    assert actor_headers("a", 2, "x/y") == (
        (b"x-rivet-actor", b"a"), (b"x-rivet-actor-generation", b"2"), (b"x-rivet-actor-key", b"x/y"),
    )  # fmt: skip
    assert actor_headers("a", 2, "/")[-1] == (b"x-rivet-actor-key", b"")
    assert len(actor_headers("a", 2, "x\r\nset-cookie: y")) == 2


def test_the_text_of_a_crash():
    assert crash_text(make_error("actor.stopping")) == make_error("actor.stopping").message
    assert crash_text(KeyError()) == "KeyError"
    assert len(crash_text(RuntimeError("x" * 5000))) == MAX_CRASH_BYTES + len("... (truncated)")


def test_the_text_of_a_crash_can_be_stored_and_sent():
    """Names of files bring lone surrogates along, terminals their colours."""

    class Unreadable(Exception):
        def __str__(self):
            raise ValueError("no text")

    assert crash_text(ValueError("cannot read caf\udce9.csv")) == "cannot read caf?.csv"
    assert crash_text(ValueError("\x1b[31mred\x00\n\tindented \u00e9")) == "?[31mred?\n\tindented \u00e9"
    assert crash_text(Unreadable()) == "Unreadable"
    assert crash_text(make_error("actor.panicked", operation="\udc80")).isascii()
