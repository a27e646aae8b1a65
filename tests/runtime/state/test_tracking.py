"""Tracked values."""

import contextlib
import copy
import gc
import weakref
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from runtime.actor.state.tracking import plain, track
from runtime.protocol import cbor
from runtime.protocol.values import UNDEFINED, from_wire, to_wire


class Counter:
    def __init__(self):
        self.changes = 0
        self.refuse = None

    def before_change(self):
        if self.refuse is not None:
            raise self.refuse

    def changed(self):
        self.changes += 1


@dataclass
class Record:
    label: object = ""


@pytest.fixture
def tracker():
    return Counter()


def test_item_and_attribute_access_reach_the_same_nested_object(tracker):
    state = track({"a": {"b": [1, {"c": 2}]}}, tracker)
    assert state.a is state["a"] is state.a
    assert state.a.b[1] is state["a"]["b"][1]
    state.a.b[1].c = 3
    assert plain(state) == {"a": {"b": [1, {"c": 3}]}}
    assert tracker.changes == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.update(n=2),
        lambda s: s.__setitem__("n", 2),
        lambda s: setattr(s, "n", 2),
        lambda s: s.setdefault("new", 1),
        lambda s: s.pop("n"),
        lambda s: s.popitem(),
        lambda s: s.__delitem__("n"),
        lambda s: delattr(s, "n"),
        lambda s: s.clear(),
        lambda s: s.__ior__({"n": 5}),
        lambda s: s.items_.append(1),
        lambda s: s.items_.extend([1]),
        lambda s: s.items_.insert(0, 1),
        lambda s: s.items_.pop(),
        lambda s: s.items_.remove(3),
        lambda s: s.items_.sort(),
        lambda s: s.items_.reverse(),
        lambda s: s.items_.clear(),
        lambda s: s.items_.__setitem__(0, 9),
        lambda s: s.items_.__setitem__(slice(0, 1), [9, 9]),
        lambda s: s.items_.__delitem__(0),
        lambda s: s.items_.__iadd__([1]),
        lambda s: s.items_.__imul__(2),
        lambda s: s.members.add("z"),
        lambda s: s.members.discard("x"),
        lambda s: s.members.update({"z"}),
        lambda s: s.members.clear(),
        lambda s: s.members.__ior__({"z"}),
    ],
)
def test_every_mutation_is_one_change(tracker, change):
    state = track({"items_": [3, 1, 2], "members": {"x"}, "n": 1}, tracker)
    change(state)
    assert tracker.changes == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda s: setattr(s, "n", 1),
        lambda s: s.update(n=1),
        lambda s: setattr(s, "items_", [1, 2]),
        lambda s: setattr(s, "nested", {"deep": [1]}),
        lambda s: s.items_.sort(),
        lambda s: s.items_.__setitem__(0, 1),
        lambda s: s.items_.extend([]),
        lambda s: s.members.add("x"),
        lambda s: s.setdefault("n", 7),
        lambda s: s.pop("absent", None),
        lambda s: setattr(s, "nan", float("nan")),
    ],
)
def test_an_equal_write_is_no_change(tracker, change):
    state = track({"n": 1, "items_": [1, 2], "nested": {"deep": [1]}, "members": {"x"}, "nan": float("nan")}, tracker)
    before = state.nested
    change(state)
    assert tracker.changes == 0
    assert state.nested is before


def test_a_value_of_another_type_is_a_change(tracker):
    state = track({"n": 1, "flags": [0]}, tracker)
    state.n = True
    assert state["n"] is True
    state.n = 1.0
    assert isinstance(state["n"], float)
    state.flags[0] = False
    state.flags = [0]
    assert type(state.flags[0]) is int
    assert tracker.changes == 4


class Opaque:
    pass


@pytest.mark.parametrize(
    "value", [print, lambda: 0, Opaque(), object(), Opaque, iter([]), {"deep": [print]}, {(1,): 1}, {print}, [{Opaque}], (x for x in ())]
)
def test_what_cannot_be_stored_is_refused_and_nothing_changes(tracker, value):
    state = track({"a": 1, "items_": [1], "members": {1}}, tracker)
    attempts = [
        lambda: setattr(state, "a", value),
        lambda: setattr(state, "b", value),
        lambda: state.update(a=value),
        lambda: state.items_.append(value),
        lambda: state.items_.extend([2, value]),
        lambda: state.items_.insert(0, value),
        lambda: state.items_.__setitem__(0, value),
        lambda: state.items_.__setitem__(slice(None), [5, value]),
    ]
    if not isinstance(value, dict | list | set):
        attempts += [lambda: state.members.add(value), lambda: state.members.update([value])]
    for attempt in attempts:
        with pytest.raises(TypeError):
            attempt()
    assert plain(state) == {"a": 1, "items_": [1], "members": {1}}
    assert tracker.changes == 0


def test_a_cycle_is_refused(tracker):
    state = track({"a": 1}, tracker)
    loop = {}
    loop["self"] = loop
    with pytest.raises((TypeError, ValueError, RecursionError)):
        state.a = loop
    assert plain(state) == {"a": 1}


def test_a_refusing_tracker_leaves_everything_as_it_was(tracker):
    state = track({"a": 1, "items_": [1], "members": {1}}, tracker)
    tracker.refuse = RuntimeError("no")
    for attempt in (
        lambda: setattr(state, "a", 2),
        lambda: state.pop("a"),
        lambda: state.clear(),
        lambda: state.items_.append(2),
        lambda: state.items_.sort(),
        lambda: state.members.add(2),
        lambda: state.update(b=1),
    ):
        with pytest.raises(RuntimeError, match="no"):
            attempt()
    assert plain(state) == {"a": 1, "items_": [1], "members": {1}}


def test_assigned_containers_are_tracked_deeply(tracker):
    state = track({}, tracker)
    state.tree = {"rows": [{"n": 1}]}
    state.tree.rows[0].n = 2
    assert tracker.changes == 2


def test_copies_are_plain(tracker):
    state = track({"rows": [{"n": 1}], "members": {1}}, tracker)
    for copied in (copy.deepcopy(state), plain(state)):
        copied["rows"][0]["n"] = 5
        copied["members"].add(2)
    assert tracker.changes == 0
    assert plain(state) == {"rows": [{"n": 1}], "members": {1}}
    assert type(copy.deepcopy(state)["rows"]) is list


@pytest.mark.parametrize(
    "value",
    [
        None, UNDEFINED, True, 0, -1, 2**40, 2**70, 1.5, float("inf"), "text", b"bytes", [1, [2]], {"a": {"b": None}}, {1, 2},
        {1: "a", b"k": 2},
        datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    ],
)  # fmt: skip
def test_values_survive_storage_with_their_type(tracker, value):
    state = track({"v": value}, tracker)
    back = track(from_wire(cbor.loads(cbor.dumps_exact(to_wire(plain(state))))), tracker)
    assert plain(back)["v"] == value
    assert type(plain(back)["v"]) is type(value)


@dataclass
class Board:
    title: str = ""
    scores: list[int] = field(default_factory=list)


def test_a_dataclass_is_tracked_through_its_fields(tracker):
    board = track(Board("a", [1]), tracker)
    assert isinstance(board, Board)
    board.title = "a"
    assert tracker.changes == 0
    board.title = "b"
    board.scores.append(2)
    assert tracker.changes == 2
    assert plain(board) == {"title": "b", "scores": [1, 2]}
    with pytest.raises(TypeError):
        board.title = print
    assert board.title == "b"


@pytest.mark.timeout(20)
def test_many_small_changes_are_not_quadratic(tracker):
    state = track({"s": set(), "l": list(range(20_000))}, tracker)
    # Each of these would copy the whole container: a thousand million items in all.
    for i in range(20_000):
        state.s.add(i)
        state.s |= {-i}
        state.l[-1:] = []
    assert tracker.changes == 59_999


@pytest.mark.parametrize(
    ("change", "changes"),
    [
        (lambda s: s.l.sort(key=lambda item: 1 // (item - 2)), 0),
        (lambda s: s.m.reverse(), 1),
        (lambda s: s.s.symmetric_difference_update(set()), 0),
        (lambda s: s.s.symmetric_difference_update({1, 2}), 1),
        (lambda s: s.s.__ixor__({9}), 1),
        (lambda s: s.s.add(True), 0),
        (lambda s: s.s.intersection_update({1, 3}), 0),
    ],
)
def test_what_counts_as_a_change_of_order_or_membership(tracker, change, changes):
    state = track({"l": [3, 1, 2], "m": [1, True], "s": {1, 3}}, tracker)
    with contextlib.suppress(ZeroDivisionError):
        change(state)
    assert tracker.changes == changes


LONE = "caf\udce9"


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.update(a=LONE),
        lambda s: s.__setitem__(LONE, 1),
        lambda s: s.setdefault(LONE, 1),
        lambda s: setattr(s, "deep", {"a": [LONE]}),
        lambda s: s.items_.append(LONE),
        lambda s: s.items_.extend([LONE]),
        lambda s: s.items_.insert(0, LONE),
        lambda s: s.items_.__setitem__(0, LONE),
        lambda s: s.items_.__setitem__(slice(0, 1), [LONE]),
        lambda s: s.members.add(LONE),
        lambda s: s.members.update([LONE]),
        lambda s: s.members.symmetric_difference_update([LONE]),
        lambda s: setattr(s.record, "label", LONE),
        lambda s: setattr(s, "big", 10**5000),
        lambda s: s.__setitem__(2**70, 1),
    ],
)
def test_what_no_row_can_hold_is_refused_at_the_assignment(tracker, change):
    state = track({"items_": [1], "members": {"x"}, "record": Record()}, tracker)
    before = repr(plain(state))
    with pytest.raises(TypeError):
        change(state)
    assert (tracker.changes, repr(plain(state))) == (0, before)
    cbor.dumps_exact(to_wire(plain(state)))


def test_a_state_cannot_grow_too_deep_step_by_step(tracker):
    for grow in (
        lambda node: (node.__setitem__("next", {}), node["next"])[1],
        lambda node: (node.__setitem__("next", [{}]), node["next"][0])[1],
        lambda node: (node.__setitem__("next", Record(label={})), node["next"].label)[1],
    ):
        state = node = track({}, tracker)
        with pytest.raises(TypeError, match="deep"):
            for _ in range(1000):
                node = grow(node)
        assert from_wire(cbor.loads(cbor.dumps_exact(to_wire(plain(state))))) == plain(state)


def test_what_contains_itself_is_refused_and_aliases_are_not(tracker):
    state = track({"a": [1]}, tracker)
    state.b = [state.a, state.a]
    loop = []
    loop.append(loop)
    folded = [1]
    for _ in range(60):
        folded = [folded, folded]
    for value in (loop, {"x": folded}):
        with pytest.raises(TypeError):
            state.c = value
    assert plain(state) == {"a": [1], "b": [[1], [1]]}


def test_a_class_that_a_hook_declares_is_not_kept_alive(tracker):
    def create_state():
        class Context:
            """What belongs to one generation."""

        context = Context()

        @dataclass
        class State:
            n: int = 0

            def of(self):
                return context

        return track(State(), tracker), track(State(), tracker), weakref.ref(context)

    first, second, context = create_state()
    assert type(first) is type(second)
    first.n = 1
    assert (first != second, context() is first.of()) == (True, True)
    del first, second
    gc.collect()
    assert context() is None
