"""Which engine actors are hosted on, and what is said when it cannot be."""

from __future__ import annotations

import pytest

from runtime import EngineAddress, Registry, run


def test_the_environment_says_what_other_runtimes_read() -> None:
    """Each of ENGINE-230, and the defaults of what is not said."""
    said = {
        "RIVET_ENDPOINT": "http://engine:1", "RIVET_NAMESPACE": "prod", "RIVET_POOL_NAME": "blue", "RIVET_TOKEN": "secret",
        "RIVET_ENVOY_VERSION": "7",
    }  # fmt: skip
    assert EngineAddress.of(said) == EngineAddress("http://engine:1", "prod", "blue", "secret", 7)
    assert EngineAddress.of({"RIVET_TOKEN": ""}) == EngineAddress()


def test_a_version_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="RIVET_ENVOY_VERSION is 'seven'"):
        EngineAddress.of({"RIVET_ENVOY_VERSION": "seven"})


def test_a_token_is_not_shown() -> None:
    assert "secret" not in repr(EngineAddress(token="secret"))


@pytest.mark.parametrize(
    ("url", "local"), [("http://127.0.0.1:6420", True), ("http://[::1]:1", True), ("http://localhost", True), ("http://engine", False)]
)
def test_an_engine_of_this_machine_is_set_up_unasked(url: str, local: bool) -> None:
    """ENGINE-022: others belong to somebody else."""
    assert EngineAddress(url).is_local is local


def test_what_the_engine_does_itself_cannot_be_asked_of_the_runtime() -> None:
    with pytest.raises(ValueError, match="the engine stores and listens"):
        run(Registry(), engine="http://127.0.0.1:1", storage="memory")
    with pytest.raises(ValueError, match="`pool` is about an engine"):
        run(Registry(), pool="blue")
