import asyncio

import pytest

from runtime.actor.queue.message import CompletableMessage, QueueMessage
from runtime.actor.queue.records import StoredMessage, encode_body
from tests.runtime.parts import failing

STORED = StoredMessage(7, "jobs", encode_body({"list": [1]}), 1000)


class Queue:
    def __init__(self):
        self.messages, self.completed, self.error, self.held = {7: STORED}, [], None, None

    async def complete(self, message, response):
        self.messages.pop(message.id)
        if self.held is not None:
            await self.held.wait()
        if self.error is not None:
            self.messages[message.id] = message
            raise self.error
        self.completed.append((message.id, response))

    def stored(self, message_id):
        return self.messages.get(message_id)


def test_each_receiver_has_a_body_of_its_own():
    first, second = QueueMessage(STORED), QueueMessage(STORED)
    first.body["list"].append(2)
    assert (second.id, second.name, second.body, second.created_at) == (7, "jobs", {"list": [1]}, 1000)


async def test_only_one_completion_succeeds():
    queue = Queue()
    message = CompletableMessage(STORED, queue)
    await message.complete("done")
    assert await failing(message.complete("again")) == "queue.already_completed"
    assert queue.completed == [(7, "done")]
    assert message.completed


async def test_a_second_completion_during_the_first_is_refused():
    queue = Queue()
    queue.held = asyncio.Event()
    message = CompletableMessage(STORED, queue)
    first = asyncio.create_task(message.complete(1))
    await asyncio.sleep(0)
    assert await failing(message.complete(2)) == "queue.already_completed"
    queue.held.set()
    await first
    assert queue.completed == [(7, 1)]


async def test_after_a_failure_it_can_be_completed_again():
    queue = Queue()
    queue.error = OSError("disk full")
    message = CompletableMessage(STORED, queue)
    with pytest.raises(OSError):
        await message.complete()
    assert not message.completed
    queue.error = None
    await message.complete("done")


async def test_a_message_that_somebody_else_removed_is_completed():
    queue = Queue()
    message = CompletableMessage(STORED, queue)
    queue.messages.clear()
    assert message.completed
