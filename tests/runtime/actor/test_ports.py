import pytest

from runtime.actor.ports import ActorIdentity, StopKind, StopReason


@pytest.mark.parametrize("reason", StopReason)
def test_two_reasons_are_final(reason):
    final = reason in (StopReason.DESTROY, StopReason.STOP_INTENT)
    assert reason.kind is (StopKind.DESTROY if final else StopKind.SLEEP)


@pytest.mark.parametrize(("key", "text"), [(None, ""), ((), ""), (("a", "b"), "a/b")])
def test_how_errors_name_an_actor(key, text):
    specifier = ActorIdentity("id", "counter", key, "default", 3, None).specifier
    assert (specifier.actor_id, specifier.generation, specifier.key) == ("id", 3, text)
