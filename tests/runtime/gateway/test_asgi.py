"""Bodies in, replies out."""

import pytest

from runtime.gateway.asgi import BodyTooLarge, ClientGone, read_body, send_reply
from runtime.replies import Reply


def receiving(*messages):
    queue = list(messages)

    async def receive():
        return queue.pop(0)

    return receive


def part(body, more=False):
    return {"type": "http.request", "body": body, "more_body": more}


async def test_bodies_arrive_whole():
    assert await read_body(receiving(part(b"ab", True), part(b"", True), part(b"c")), {}, 3) == b"abc"


async def test_a_body_of_exactly_the_limit_passes_and_one_byte_more_does_not():
    assert await read_body(receiving(part(b"abc")), {}, 3) == b"abc"
    with pytest.raises(BodyTooLarge):
        await read_body(receiving(part(b"abcd")), {}, 3)
    with pytest.raises(BodyTooLarge):
        await read_body(receiving(part(b"abc", True), part(b"d", True)), {}, 3)


async def test_a_client_that_leaves_early():
    with pytest.raises(ClientGone):
        await read_body(receiving(part(b"abc", True), {"type": "http.disconnect"}), {}, 10)


async def test_replies_carry_their_length_except_where_there_is_no_body():
    sent = []

    async def send(message):
        sent.append(message)

    await send_reply(send, Reply(200, ((b"a", b"b"),), b"xyz"), ((b"c", b"d"),))
    assert sent[0]["headers"] == [(b"a", b"b"), (b"c", b"d"), (b"content-length", b"3")]
    sent.clear()
    await send_reply(send, Reply(204, (), b"ignored"))
    assert (sent[0]["headers"], sent[1]["body"]) == ([], b"")
