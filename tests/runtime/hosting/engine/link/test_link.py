"""The link and an engine, over a real socket, with thresholds of milliseconds."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
import time

import pytest

from runtime.hosting.engine.link.link import EnvoyLink, NoEngineError
from runtime.hosting.engine.link.settings import Settings
from runtime.hosting.engine.ports import LinkLostError, RefusedError
from runtime.hosting.engine.protocol import lives, pages
from runtime.hosting.engine.protocol.messages import AckCommands, Events, Metadata, PagesRequest, Stopping
from runtime.hosting.engine.protocol.tunnel import RequestStart, ResponseStart, SocketMessage, TunnelMessage
from tests.runtime.hosting.engine.fake_engine import FakeEngine, NextCommit
from tests.runtime.hosting.engine.link.recorder import Recorder

FAST = Settings(connect=1.0, backoff=0.01, stable=0.05, acks=0.02, request=1.0, intent=0.1, flush=0.5, tick=0.01)
PAGE = b"one." * 1024
RUNNING = lives.StateEvent(lives.Running())
STOPPED = lives.StateEvent(lives.Stopped(lives.StopCode.OK))


@pytest.fixture
def engine():
    with FakeEngine(ping_every=0.03) as engine:
        yield engine


@pytest.fixture
def heard():
    return Recorder()


@contextlib.asynccontextmanager
async def linked(engine, heard, settings=FAST, **others):
    link = EnvoyLink(engine.url, "default", "pool", names=["counter"], listener=heard, settings=settings, **others)
    await link.open(2.0)
    try:
        yield link
    finally:
        await link.close()


def commit(head=None, *, actor_id="a", generation=1, data=PAGE):
    return pages.CommitPages(actor_id, (pages.Page(1, data),), 1, 0, generation, head)


async def test_metadata_comes_first_and_the_handshake_says_who_it_is(engine, heard):
    async with linked(engine, heard, envoy_key="key-1", version=7, token="secret", metadata={"runtime": "x"}) as link:
        assert link.limits == engine.init
    path, protocols = engine.handshakes[0]
    assert path == "/envoys/connect?protocol_version=6&namespace=default&envoy_key=key-1&version=7&pool_name=pool"
    assert protocols == ["rivet", "rivet_token.secret"]
    await engine.until(lambda: engine.farewells)
    first = engine.received[0]
    assert isinstance(first.message, Metadata)
    assert first.message.metadata == '{"runtime": "x"}'
    assert list(first.message.names) == ["counter"]
    assert engine.farewells == [(1000, "envoy.shutdown")]


async def test_an_actor_starts_answers_and_stops(engine, heard):
    async with linked(engine, heard) as link:
        engine.start("a")
        await engine.until(lambda: heard.of("start"))
        link.event(("a", 1), RUNNING)
        await engine.until(lambda: engine.actors["a"].running)
        heard.on_tunnel = lambda message: link.tunnel(TunnelMessage(message.message_id, ResponseStart(200, {}, b"hello")))
        request = engine.http("a", "GET", "/health")
        [answer] = await engine.answers(request)
        assert answer.kind.body == b"hello"
        link.event(("a", 1), lives.IntentEvent(lives.SleepIntent()))
        await engine.until(lambda: heard.of("stop"))
        link.event(("a", 1), STOPPED)
        await engine.until(lambda: engine.actors["a"].stopped)
        assert not engine.actors["a"].destroyed
        acks = await engine.wait_for(AckCommands)
        assert acks[-1].checkpoints[-1].actor_id == "a"
    assert heard.of("stop") == [("stop", ("a", 1), lives.Reason.SLEEP_INTENT)]


async def test_pages_are_written_and_read_from_other_threads(engine, heard):
    async with linked(engine, heard) as link:
        with pytest.raises(RefusedError, match=r"depot\.database_not_found"):
            await asyncio.to_thread(link.get_pages, pages.GetPages("a", (1,), 1, None))
        written = await asyncio.to_thread(link.commit_pages, commit())
        found = await asyncio.to_thread(link.get_pages, pages.GetPages("a", (1, 2), 1, written.head))
        assert [page.data for page in found.pages] == [PAGE, None]
        await link.put("a", b"\x03", b"token")
        assert engine.rows["a"] == {b"\x03": b"token"}


@pytest.mark.parametrize("fate", [NextCommit.DROP_BEFORE, NextCommit.DROP_AFTER])
async def test_a_commit_whose_connection_breaks_fails_and_is_not_sent_again(engine, heard, fate):
    async with linked(engine, heard) as link:
        engine.next_commit = fate
        with pytest.raises(LinkLostError):
            await asyncio.to_thread(link.commit_pages, commit())
        await engine.until(lambda: engine.sessions == 2)
        await asyncio.to_thread(link.commit_pages, commit(engine.pages.heads.get("a")))
        assert engine.pages.heads["a"] == (2 if fate is NextCommit.DROP_AFTER else 1)


async def test_a_read_is_asked_again_over_the_next_connection(engine, heard):
    async with linked(engine, heard) as link:
        engine.pages.commit_pages(commit())
        engine.answers_pages = False
        reading = asyncio.create_task(asyncio.to_thread(link.get_pages, pages.GetPages("a", (1,), 1, None)))
        await engine.wait_for(PagesRequest)
        engine.answers_pages = True
        engine.drop()
        assert (await reading).pages[0].data == PAGE


async def test_events_are_sent_on_init_and_everything_else_after_the_first_ping(engine, heard):
    async with linked(engine, heard) as link:
        engine.start("a")
        await engine.until(lambda: heard.of("start"))
        link.event(("a", 1), RUNNING)
        await engine.wait_for(Events)
        request = engine.web_socket("a", "/connect")
        await engine.until(lambda: heard.of("tunnel"))
        engine.first_ping = False
        engine.drop()
        await engine.until(lambda: link.health.ping_age is None)
        link.tunnel(TunnelMessage(request, SocketMessage(b"late", binary=True)))
        link.event(("a", 1), lives.AlarmEvent(5))
        await engine.wait_for_events(count=3)
        assert not engine.messages_of(request)
        engine.first_ping = True
        engine.ping()
        await engine.answers(request)
    second = [type(one.message) for one in engine.received if one.session == 2]
    assert second.index(Events) < second.index(TunnelMessage)
    assert [event.checkpoint.index for event in engine.events()] == [0, 0, 1]


async def test_a_loop_that_is_blocked_answers_pings(engine, heard):
    engine.ping_every = 0.02
    async with linked(engine, heard):
        before = len(engine.pongs)
        time.sleep(0.3)  # noqa: ASYNC251 - this is what is tested
        assert len(engine.pongs) - before >= 5
        assert engine.sessions == 1


async def test_an_evicted_link_does_not_come_back(engine, heard):
    async with linked(engine, heard) as link:
        engine.evict()
        await engine.until(lambda: heard.of("evicted"))
        assert heard.of("evicted") == [("evicted", "ws.eviction (1000)")]
        with pytest.raises(LinkLostError):
            link.get_pages(pages.GetPages("a", (1,), 1, None))
        await asyncio.sleep(0.05)
    assert engine.sessions == 1


async def test_a_connection_without_pings_is_given_up(engine, heard):
    async with linked(engine, heard) as link:
        engine.init = type(engine.init)(60, 1_800_000, 1000)
        engine.drop()
        await engine.until(lambda: engine.sessions == 2)
        engine.ping_every = None
        engine.first_ping = False
        await engine.until(lambda: engine.sessions >= 3)
        assert "no ping" in link.health.last_farewell


async def test_the_generations_are_lost_after_the_threshold(engine, heard):
    engine.init = type(engine.init)(50, 1_800_000, 1000)
    async with linked(engine, heard) as link:
        engine.answers_pages = False
        waiting = asyncio.create_task(asyncio.to_thread(link.get_pages, pages.GetPages("a", (1,), 1, None)))
        await engine.wait_for(PagesRequest)
        engine.shut_down()
        await engine.until(lambda: heard.of("lost"))
        with pytest.raises(LinkLostError):
            await waiting
        link.event(("a", 1), STOPPED)
        engine.listen()
        await engine.wait_for_events("a")
        assert len(heard.of("lost")) == 1


async def test_a_refusal_is_told(engine, heard):
    engine.refuse = "namespace.not_found"
    link = EnvoyLink(engine.url, "nowhere", "pool", names=[], listener=heard, settings=FAST)
    with pytest.raises(NoEngineError, match=r"namespace\.not_found"):
        await link.open(0.1)


async def test_no_engine_at_all_is_told(heard):
    link = EnvoyLink("http://127.0.0.1:9", "nowhere", "pool", names=[], listener=heard, settings=FAST)
    with pytest.raises(NoEngineError, match=r"127\.0\.0\.1:9"):
        await link.open(0.05)
    assert not link.health.healthy


async def test_draining_moves_actors_and_their_last_events_are_written_before_the_end(engine, heard):
    async with linked(engine, heard) as link:
        engine.start("a")
        await engine.until(lambda: heard.of("start"))
        link.event(("a", 1), RUNNING)
        await engine.wait_for(Events)
        link.stopping()
        await engine.until(lambda: heard.of("stop"))
        for index in range(1000):
            link.event(("a", 1), lives.AlarmEvent(index))
        link.event(("a", 1), STOPPED)
    assert len(engine.of(Stopping)) == 1
    await engine.until(lambda: engine.farewells)
    assert engine.actors["a"].stopped == STOPPED.state
    assert engine.farewells == [(1000, "envoy.shutdown")]


async def test_commands_that_are_given_again_are_not_done_again(engine, heard):
    engine.replays_all = True
    async with linked(engine, heard) as link:
        engine.start("a")
        await engine.until(lambda: heard.of("start"))
        link.event(("a", 1), RUNNING)
        engine.drop()
        await engine.until(lambda: engine.sessions == 2 and link.health.healthy)
        engine.stop("a")
        await engine.until(lambda: heard.of("stop"))
        link.event(("a", 1), STOPPED)
        engine.drop()
        await engine.until(lambda: engine.sessions == 3 and link.health.healthy)
        engine.start("b")
        await engine.until(lambda: ("start", ("b", 1)) in heard.heard)
    assert [one[:2] for one in heard.heard] == [("start", ("a", 1)), ("stop", ("a", 1)), ("start", ("b", 1))]


async def test_the_end_of_a_generation_reaches_an_engine_that_restarted(engine, heard):
    async with linked(engine, heard) as link:
        engine.start("a")
        await engine.until(lambda: heard.of("start"))
        link.event(("a", 1), RUNNING)
        await engine.wait_for_events("a")
        engine.shut_down()
        await engine.until(lambda: not link.health.healthy)
        link.event(("a", 1), STOPPED)
        engine.listen()
        await engine.until(lambda: engine.actors["a"].stopped)
        engine.start("a")
        await engine.until(lambda: ("start", ("a", 2)) in heard.heard)
        before = len(engine.events())
        engine.close()
        await engine.until(lambda: engine.sessions == 3 and link.health.healthy)
        assert len(engine.events()) == before


async def test_requests_are_refused_while_the_loop_is_blocked_and_too_much_waits(engine, heard):
    settings = dataclasses.replace(FAST, incoming_bytes=10_000)
    async with linked(engine, heard, settings) as link:
        engine.start("a")
        await engine.until(lambda: heard.of("start"))
        link.event(("a", 1), RUNNING)
        requests = [engine.http("a", "POST", "/", body=b"x" * 1000) for _ in range(20)]
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline and not any(engine.messages_of(requests[-1])):
            time.sleep(0.002)  # noqa: ASYNC251 - this is what is tested
        assert engine.messages_of(requests[-1])[0].kind.status == 503
        await engine.until(lambda: [one for one in heard.of("tunnel") if isinstance(one[1].kind, RequestStart)])
        taken = [one[1] for one in heard.of("tunnel") if isinstance(one[1].kind, RequestStart)]
        assert 1 <= len(taken) < 20
        assert engine.sessions == 1


async def test_a_link_that_looks_for_its_engine_closes_at_once(engine, heard):
    async with linked(engine, heard, dataclasses.replace(FAST, backoff=10.0)) as link:
        engine.shut_down()
        await engine.until(lambda: not link.health.healthy)
        waiting = asyncio.create_task(asyncio.to_thread(link.commit_pages, commit()))
        await asyncio.sleep(0.02)
        began = time.monotonic()
        await link.close()
        assert time.monotonic() - began < 0.5
        with pytest.raises(LinkLostError):
            await waiting
        with pytest.raises(LinkLostError):
            await link.put("a", b"", b"")
        link.event(("a", 1), STOPPED)
        link.tunnel(TunnelMessage(engine.new_request(), SocketMessage(b"", binary=True)))


async def test_a_fault_in_the_link_is_one_bad_connection(engine, heard, monkeypatch):
    async with linked(engine, heard) as link:
        with monkeypatch.context() as patch:
            patch.setattr(link._conversation, "receive", lambda *_: 1 // 0)
            await engine.until(lambda: engine.sessions >= 2)
        await engine.until(lambda: link.health.healthy)
        assert not heard.of("evicted")


async def test_texts_are_no_messages(engine, heard):
    async with linked(engine, heard):
        engine.send_raw("hello")
        pongs = len(engine.pongs)
        await engine.until(lambda: len(engine.pongs) > pongs + 1)
        assert engine.sessions == 1


async def test_before_it_is_opened_a_link_knows_the_usual_limits_and_is_ill(heard):
    link = EnvoyLink("http://127.0.0.1:9", "n", "p", names=[], listener=heard)
    assert link.limits.envoy_lost_threshold == 15_000
    assert not link.health.healthy
    await link.close()


async def test_large_messages_are_written_before_the_end(engine, heard):
    async with linked(engine, heard) as link:
        engine.start("a")
        request = engine.web_socket("a", "/")
        await engine.until(lambda: heard.of("tunnel"))
        for _ in range(30):
            link.tunnel(TunnelMessage(request, SocketMessage(b"x" * 500_000, binary=True)))
    await engine.until(lambda: engine.farewells)
    assert len(engine.messages_of(request)) == 30


async def test_a_connection_that_held_is_made_again_soon(engine, heard):
    async with linked(engine, heard, dataclasses.replace(FAST, stable=0.0)) as link:
        for count in range(2, 6):
            engine.drop()
            await engine.until(lambda count=count: engine.sessions == count and link.health.healthy)
        assert link._thread._backoff._attempt == 1


async def test_with_actors_there_is_no_long_wait(engine, heard):
    engine.init = dataclasses.replace(engine.init, envoy_lost_threshold=200)
    async with linked(engine, heard, dataclasses.replace(FAST, backoff=10.0)):
        engine.start("a")
        await engine.until(lambda: heard.of("start"))
        engine.drop()
        await engine.until(lambda: engine.sessions == 2, timeout=1.0)
        assert not heard.of("lost")


async def test_who_does_not_shake_hands_is_left_at_once(heard):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        link = EnvoyLink(f"http://127.0.0.1:{mute.getsockname()[1]}", "n", "p", names=[], listener=heard, settings=FAST)
        began = time.monotonic()
        with pytest.raises(NoEngineError):
            await link.open(0.03)
        assert time.monotonic() - began < 0.7
