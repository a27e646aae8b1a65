"""Who may inspect."""

from types import SimpleNamespace

import pytest

from runtime.inspector.token import expected_token, header_token, is_authorized
from tests.runtime.inspector.fake_actor import Rows


@pytest.mark.parametrize(("given", "token"), [(None, None), ("", None), ("bearer  x", "x"), ("x", "x"), ("Basic x", "Basic x")])
def test_the_token_of_a_header(given, token):
    assert header_token(given) == token


async def test_a_fixed_token_replaces_the_stored_one():
    own, fixed = (SimpleNamespace(fixed_inspector_token=token) for token in (None, "all"))
    assert [await expected_token(settings, Rows("mine")) for settings in (own, fixed)] == ["mine", "all"]
    assert [await is_authorized(own, Rows("mine"), given) for given in ("mine", "Mine", "", None, "ä")] == [True, *[False] * 4]
    assert not await is_authorized(own, Rows(None), "mine")
