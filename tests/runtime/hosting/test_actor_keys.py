"""Which actors exist, by id and by key."""

import pytest

from runtime.errors import ActorError
from runtime.hosting.standalone.actor_keys import MAX_KEY_BYTES, Directory, check_key
from runtime.hosting.standalone.namespaces import Namespace
from runtime.hosting.standalone.records import ActorRecord
from runtime.hosting.standalone.slot import ActorSlot

HERE, THERE = Namespace("n1", "here", "", 0), Namespace("n2", "there", "", 0)


def slot(actor_id, key="k", namespace=HERE):
    return ActorSlot(ActorRecord(actor_id, namespace.namespace_id, "thing", key, "default", 0), namespace)


def test_a_key_belongs_to_a_name_in_a_namespace():
    directory, mine = Directory(), slot("a")
    directory.add(mine)
    directory.add(slot("b", key=None))
    assert directory.find(HERE, "thing", "k") is mine
    assert [directory.find(*asked) for asked in ((THERE, "thing", "k"), (HERE, "other", "k"), (HERE, "thing", "K"))] == [None] * 3
    assert set(directory.slots) == {"a", "b"}


def test_an_actor_that_goes_late_does_not_take_the_key_from_its_next_holder():
    directory, first, second = Directory(), slot("a"), slot("b")
    directory.add(first)
    directory.add(second)
    directory.remove(first)
    assert directory.find(HERE, "thing", "k") is second
    directory.remove(second)
    directory.remove(second)
    assert (directory.slots, directory.find(HERE, "thing", "k")) == ({}, None)


@pytest.mark.parametrize(("key", "name"), [("", "actor.empty_key"), ("é" * 513, "actor.key_too_large")])
def test_keys_are_measured_in_bytes(key, name):
    check_key("é" * (MAX_KEY_BYTES // 2))
    with pytest.raises(ActorError) as caught:
        check_key(key)
    assert caught.value.name == name
