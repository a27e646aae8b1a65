"""What the gateway reads in the headers of a request."""

import pytest

from runtime.errors import ActorError
from runtime.gateway.request_headers import skip_from_header


@pytest.mark.parametrize(("value", "skip"), [(None, False), (b"true", True), (b"1", True), (b"false", False), (b"0", False)])
def test_the_header_that_skips_the_wait(value, skip):
    assert skip_from_header({} if value is None else {b"x-rivet-skip-ready-wait": value}) is skip
    with pytest.raises(ActorError) as caught:
        skip_from_header({b"x-rivet-skip-ready-wait": b"yes"})
    assert caught.value.name == "guard.invalid_header"
