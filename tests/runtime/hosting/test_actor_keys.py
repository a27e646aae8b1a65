"""Which actors exist, by id and by key."""

import pytest

from runtime.errors import ActorError
from runtime.hosting.standalone.actor_keys import MAX_KEY_BYTES, Directory, check_key
from runtime.hosting.standalone.namespaces import Namespace
from runtime.hosting.standalone.records import ActorRecord
from runtime.hosting.standalone.slot import ActorSlot

HERE, THERE = Namespace("n1", "here", "", 0), Namespace("n2", "there", "", 0)


def slot(actor_id, key="k", namespace=HERE, name="thing", create_ts=0):
    return ActorSlot(ActorRecord(actor_id, namespace.namespace_id, name, key, "default", create_ts), namespace)


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


def ids(slots):
    return [slot.actor_id for slot in slots]


def test_the_actors_of_a_name_are_listed_from_new_to_old():
    directory = Directory()
    slots = [slot(str(at), key=None, create_ts=at) for at in range(6)]
    for one in slots:
        directory.add(one)
    directory.add(slot("other", name="other"))
    directory.add(slot("there", namespace=THERE))
    directory.remove(slots[3])
    assert ids(directory.newest(HERE, "thing", None, 100)) == ["5", "4", "2", "1", "0"]
    assert ids(directory.newest(HERE, "thing", 4, 2)) == ["2", "1"]
    assert (directory.newest(HERE, "thing", None, 0), directory.newest(HERE, "thing", 0, 5), directory.newest(HERE, "no", None, 5)) == (
        [],
        [],
        [],
    )


def test_no_two_actors_of_a_name_share_a_moment():
    directory = Directory()
    for number in range(5):
        directory.add(slot(str(number), key=None, create_ts=7))
    seen, before = [], None
    while page := directory.newest(HERE, "thing", before, 2):
        seen += ids(page)
        before = page[-1].record.create_ts
    assert seen == ["4", "3", "2", "1", "0"]


def test_names_without_actors_leave_nothing():
    directory, one = Directory(), slot("a")
    directory.add(one)
    directory.remove(one)
    assert (directory.slots, directory._keys, directory._names) == ({}, {}, {})


@pytest.mark.parametrize(("key", "name"), [("", "actor.empty_key"), ("é" * 513, "actor.key_too_large")])
def test_keys_are_measured_in_bytes(key, name):
    check_key("é" * (MAX_KEY_BYTES // 2))
    with pytest.raises(ActorError) as caught:
        check_key(key)
    assert caught.value.name == name
