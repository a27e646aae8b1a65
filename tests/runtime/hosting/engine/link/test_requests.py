"""What becomes of requests when connections, generations and patience end (ENGINE-060, ENGINE-062)."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from runtime.hosting.engine.link.requests import Requests
from runtime.hosting.engine.ports import LinkLostError, RefusedError
from runtime.hosting.engine.protocol.messages import CommitResponse, KvFailed, KvPut, KvResponse, KvWritten, PagesResponse
from runtime.hosting.engine.protocol.pages import CommitPages, Committed, GetPages, PagesFound, Refused


@pytest.fixture
def requests():
    return Requests()


def ask(requests, data, *, sent=True, deadline=30.0):
    future = Future()
    request = requests.add(data, getattr(data, "actor_id", "a"), deadline, future)
    request.sent = sent
    return request, future


def get(generation=1, actor_id="a"):
    return GetPages(actor_id, (1,), generation, None)


def commit(generation=1):
    return CommitPages("a", (), 1, 0, generation, None)


def test_answers_find_who_asked(requests):
    read, one = ask(requests, get())
    write, two = ask(requests, commit())
    row, three = ask(requests, KvPut((b"k",), (b"v",)))
    requests.answer(KvResponse(row.number, KvWritten()))
    requests.answer(CommitResponse(write.number, Committed(5)))
    requests.answer(PagesResponse(read.number, PagesFound((), 5)))
    requests.answer(PagesResponse(read.number, PagesFound((), 6)))
    assert (one.result(0).head, two.result(0).head, three.result(0)) == (5, 5, KvWritten())
    assert len(requests) == 0


def test_refusals_are_raised(requests):
    read, one = ask(requests, get())
    row, two = ask(requests, KvPut((), ()))
    requests.answer(PagesResponse(read.number, Refused("depot", "head_fence_mismatch", "no")))
    requests.answer(KvResponse(row.number, KvFailed("a maximum of 128 keys is allowed")))
    with pytest.raises(RefusedError, match=r"depot\.head_fence_mismatch: no"):
        one.result(0)
    with pytest.raises(RefusedError, match="maximum of 128"):
        two.result(0)


def test_reads_and_rows_are_sent_again_and_commits_never(requests):
    read, _ = ask(requests, get())
    _, sent = ask(requests, commit())
    waiting, unsent = ask(requests, commit(), sent=False)
    row, _ = ask(requests, KvPut((), ()))
    requests.disconnected()
    assert list(requests.unsent()) == [read, waiting, row]
    assert not unsent.done()
    with pytest.raises(LinkLostError):
        sent.result(0)


def test_a_lost_generation_fails_alone(requests):
    _, lost = ask(requests, get(1), sent=False)
    others = [ask(requests, data)[1] for data in (get(2), get(1, "b"), get(None))]
    requests.fail(("a", 1))
    with pytest.raises(LinkLostError, match="generation is lost"):
        lost.result(0)
    assert not any(other.done() for other in others)


def test_patience_ends(requests):
    request, late = ask(requests, commit(), sent=False, deadline=30.0)
    _, other = ask(requests, get(), deadline=31.0)
    requests.expire(30.0)
    with pytest.raises(LinkLostError, match="in time"):
        late.result(0)
    assert not other.done()
    assert not requests.still_wanted(request)


def test_numbers_in_use_are_not_given_twice(requests):
    first, _ = ask(requests, get())
    requests._last_id = 2**32 - 1
    assert ask(requests, get())[0].number == 0
    requests._last_id = first.number - 1
    assert ask(requests, get())[0].number == first.number + 1


def test_who_gave_up_waiting_is_left_alone(requests):
    read, future = ask(requests, get())
    future.cancel()
    requests.answer(PagesResponse(read.number, PagesFound((), 5)))
    _, other = ask(requests, get())
    other.cancel()
    requests.fail_all("over")
    assert len(requests) == 0
