"""Suite inspector-queue: the queue as the inspector lists, fills and clears it."""

from __future__ import annotations

import pytest

from driver_tests.falsy import FALSY
from driver_tests.inspecting import inspect
from harness import any_encoding, capability, requirement, suite
from harness.testing.interpreter import latch, made, op, play

pytestmark = [suite("inspector-queue"), any_encoding, capability("inspector")]


async def filled(conform, actor, count):
    """So many messages of the actor itself, and its inspector."""
    await play(actor, op("repeat", times=count, do=[op("queue.send", name="jobs")]))
    return await inspect(conform, "interpreter")


def ids(shown):
    """The ids of the listed messages."""
    return [message["id"] for message in shown["messages"]]


@requirement("INSP-060", "INSP-061")
@pytest.mark.parametrize("count", [99, 100, 101])
async def test_default_limit(conform, count):
    """Without a limit a hundred messages are listed, the oldest first, and whether there are more is told."""
    shown = await (await filled(conform, made(conform), count)).get("queue")
    assert (shown["size"], shown["maxSize"], shown["truncated"]) == (count, 1000, count > 100)
    assert ids(shown) == list(range(1, min(count, 100) + 1))


@requirement("INSP-061")
@pytest.mark.parametrize(
    ("limit", "shown"),
    [("1", 1), ("102", 102), ("103", 103), ("104", 103), ("1000", 103), ("0", 100), ("-3", 100), ("", 100), ("x", 100),
     ("1.9", 1), ("2.5", 2), ("102.9", 102)],
)  # fmt: skip
async def test_limits(conform, limit, shown):
    """A limit bounds what is listed; what is no number or below 1 counts as 100, and fractions are cut off."""
    answer = await (await filled(conform, made(conform), 103)).get("queue", params={"limit": limit})
    assert ids(answer) == list(range(1, shown + 1))
    assert (answer["size"], answer["truncated"]) == (103, shown < 103)


@requirement("INSP-060", "INSP-062", "INSP-063")
async def test_listed_messages(conform):
    """Each message has id, name and the time that its receiver sees, of all names in the order of ids, also one held uncompleted."""
    actor = made(conform, "interpreterSmall")
    send = [op("queue.send", name=name, body={"secret": index}) for index, name in enumerate(["other", "jobs", "", "other"])]
    await play(actor, *send)
    held = await play(actor, op("queue.nextBatch", count=2, completable=True, timeout=0))
    inspector = await inspect(conform, "interpreterSmall")
    shown = await inspector.get("queue")
    names = [{"id": number + 1, "name": name} for number, name in enumerate(["other", "jobs", "", "other"])]
    times = [message["createdAtMs"] for message in shown["messages"]]
    assert shown == {
        "size": 4,
        "maxSize": 4,
        "truncated": False,
        "messages": [{**item, "createdAtMs": moment} for item, moment in zip(names, times, strict=True)],
    }
    rest = await play(actor, op("queue.nextBatch", count=4, timeout=0))
    assert times == [message["createdAt"] for message in rest] and held == rest[:2]
    assert await inspector.get("queue") == {"size": 0, "maxSize": 4, "truncated": False, "messages": []}


@requirement("INSP-064", "QUEUE-001", "QUEUE-007")
@pytest.mark.parametrize("body", FALSY.values(), ids=FALSY)
async def test_bodies(conform, body):
    """A falsy body is delivered as what it is, an absent one as null; ids are numbers in text, in order."""
    actor = made(conform)
    inspector = await inspect(conform, "interpreter")
    made_ = [await inspector.post("queue", {"name": "jobs", "body": body}), await inspector.post("queue", {"name": "jobs"})]
    assert [(one["id"], one["name"], set(one)) for one in made_] == [(n, "jobs", {"id", "name", "createdAtMs"}) for n in ("1", "2")]
    got = await play(actor, op("queue.nextBatch", count=5, timeout=0))
    assert [message["body"] for message in got] == [body, None]
    assert [message["createdAt"] for message in got] == [one["createdAtMs"] for one in made_]


@requirement("INSP-064", "QUEUE-037")
async def test_a_message_for_who_waits(conform):
    """A message wakes a receive that waits for its name, declared or not, and none that waits for another."""
    actor = made(conform)
    inspector = await inspect(conform, "interpreter")
    branches = [[op("queue.next", names=["nobody declared this"])], [op("queue.next", names=["jobs"], timeout=400)]]
    waiting = conform.spawn(play(actor, op("all", do=[*branches, [latch("waiting")]])))
    await conform.latch("waiting").arrived()
    await inspector.post("queue", {"name": "nobody declared this", "body": 5})
    await conform.latch("waiting").release()
    got, missed, _ = await waiting
    assert (got["name"], got["body"], missed) == ("nobody declared this", 5, None)


@requirement("INSP-065", "INSP-007")
@pytest.mark.parametrize("body", [{}, {"name": ""}, {"body": 1}, {"name": None}], ids=repr)
async def test_a_name_is_required(conform, body):
    """Without a name nothing is stored, and the error is exactly this."""
    inspector = await inspect(conform, "interpreter")
    response = await inspector.request("POST", "queue", json=body)
    refused = {"group": "actor", "code": "invalid_request", "message": "Queue message name must not be empty", "metadata": None}
    assert (response.status_code, response.json()) == (400, refused)
    assert (await inspector.get("queue"))["size"] == 0


@requirement("INSP-066")
@pytest.mark.parametrize("content", [b"", b"{nope", b"\xff"], ids=["empty", "truncated", "binary"])
async def test_a_body_that_is_no_json(conform, content):
    """The text of this error is the route's own."""
    response = await (await inspect(conform, "interpreter")).request("POST", "queue", content=content)
    refused = {"group": "actor", "code": "invalid_request", "message": "Invalid inspector JSON body", "metadata": None}
    assert (response.status_code, response.json()) == (400, refused)


@requirement("INSP-067", "QUEUE-010", "QUEUE-013")
async def test_limits_of_the_queue(conform):
    """The last place is filled, what is beyond it or too large is refused with the errors that clients get."""
    inspector = await inspect(conform, "interpreterSmall")
    for number in range(4):
        assert (await inspector.post("queue", {"name": f"n{number}"}))["id"] == str(number + 1)
    full = await inspector.request("POST", "queue", json={"name": "jobs"})
    assert (full.status_code, full.json()) == (
        400,
        {"group": "queue", "code": "full", "message": "Queue is full. Limit is 4 messages.", "metadata": {"limit": 4}},
    )
    large = await inspector.request("POST", "queue", json={"name": "jobs", "body": "x" * 400})
    error = large.json()
    assert (large.status_code, error["group"], error["code"], error["metadata"]["limit"]) == (400, "queue", "message_too_large", 256)
    assert (await inspector.get("queue"))["size"] == 4


@requirement("INSP-068", "QUEUE-002")
async def test_clearing(conform, boundary):
    """All messages go for good, also those not listed; ids go on."""
    actor = made(conform)
    inspector = await filled(conform, actor, 120)
    response = await inspector.request("DELETE", "queue")
    assert (response.status_code, response.json()) == (200, {})
    empty = {"size": 0, "maxSize": 1000, "truncated": False, "messages": []}
    assert await inspector.get("queue") == empty
    await boundary.sleep(actor, via="api")
    assert await inspector.get("queue") == empty
    assert (await inspector.post("queue", {"name": "jobs"}))["id"] == "121"
    assert (await inspector.get("summary"))["queueSize"] == 1
