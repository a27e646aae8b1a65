"""Creation input of REST bodies and gateway queries (WIRE-170, WIRE-172)."""

import base64

import pytest

from runtime.errors import ActorError
from runtime.hosting.standalone.rest.bodies import decode_input


def test_input_has_a_limit():
    data = b"\x5a" + (3_145_728 - 5).to_bytes(4, "big") + b"x" * (3_145_728 - 5)
    fits = base64.b64encode(data).decode()
    assert len(fits) == 4_194_304
    assert decode_input(fits) == data
    with pytest.raises(ActorError) as caught:
        decode_input(fits + "AAAA")
    assert (caught.value.name, caught.value.message) == ("actor.input_too_large", "Input too large (max 4194304).")
