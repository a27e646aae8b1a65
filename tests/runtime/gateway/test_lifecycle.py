"""Sleep, wake, destroy, shutdown and restart through the gateway, on virtual time."""

import asyncio

import httpx
import pytest

from runtime import Actor, Context, HostOptions, Options, Registry, action, clock
from runtime.http import Request, Response
from tests.runtime.gateway.support import error_of, serving
from tests.runtime.hosting.virtual import run_virtual

NS = {"namespace": "default"}


class Life(Actor):
    name = "life"
    state = {"wakes": 0, "sleeps": 0, "pings": 0}
    options = Options(sleep_timeout=5.0, sleep_grace_period=10.0, action_timeout=60.0)

    def on_wake(self, c: Context) -> None:
        c.state.wakes += 1

    async def on_sleep(self, c: Context) -> None:
        c.state.sleeps += 1
        await clock.sleep(1)

    @action
    def counts(self, c: Context) -> dict:
        return {"wakes": c.state.wakes, "sleeps": c.state.sleeps, "pings": c.state.pings}

    @action
    def ping(self, c: Context) -> None:
        c.state.pings += 1

    @action
    async def slow(self, c: Context, seconds: float) -> str:
        await clock.sleep(seconds)
        return "done"

    @action
    async def ping_later(self, c: Context, seconds: float) -> None:
        await c.schedule.after(seconds, "ping")

    @action
    def go(self, c: Context) -> None:
        c.sleep()

    @action
    def end(self, c: Context) -> None:
        c.destroy()

    async def on_request(self, c: Context, request: Request) -> Response:
        await clock.sleep(float(request.query["for"][0]))
        return Response("done")


class Broken(Actor):
    name = "broken"
    broken = True

    def on_wake(self, c: Context) -> None:
        if type(self).broken:
            raise RuntimeError("the hook's own text")

    @action
    def hello(self, c: Context) -> str:
        return "hello"


class SlowStart(Actor):
    name = "slowStart"

    async def on_wake(self, c: Context) -> None:
        await clock.sleep(3)

    @action
    def hello(self, c: Context) -> str:
        return "hello"


def scenario(body):
    """Run the coroutine function `(http)` on virtual time against a served application."""

    def test():
        async def run():
            async with serving(Registry(Life, Broken, SlowStart)) as http:
                await body(http)

        run_virtual(run())

    test.__name__, test.__doc__ = body.__name__, body.__doc__
    return test


async def create(http, name="life", key="k"):
    body = {"name": name, "key": key, "runner_name_selector": "default", "crash_policy": "sleep"}
    return (await http.put("/actors", params=NS, json=body)).json()["actor"]["actor_id"]


async def act(http, actor_id, name, *args, **headers):
    renamed = {label.replace("_", "-"): value for label, value in headers.items()}
    return await http.post(f"/gateway/{actor_id}/action/{name}", json={"args": list(args)}, headers=renamed)


async def shown(http, actor_id):
    return (await http.get("/actors", params={**NS, "actor_ids": actor_id})).json()["actors"][0]


@scenario
async def test_idle_sleep_and_wake_on_request(http):
    actor_id = await create(http)
    await act(http, actor_id, "ping")
    await asyncio.sleep(4)
    assert (await shown(http, actor_id))["sleep_ts"] is None
    await asyncio.sleep(3)
    record = await shown(http, actor_id)
    assert record["sleep_ts"] is not None
    assert record["connectable_ts"] is None
    response = await act(http, actor_id, "counts")
    assert response.json()["output"] == {"wakes": 2, "sleeps": 1, "pings": 1}
    assert response.headers["x-rivet-actor-generation"] == "2"
    assert (await shown(http, actor_id))["sleep_ts"] is None


@scenario
async def test_requests_keep_an_actor_awake(http):
    actor_id = await create(http)
    answer = await http.get(f"/gateway/{actor_id}/request?for=20")
    assert answer.text == "done"
    for _ in range(5):
        await asyncio.sleep(4)
        await http.get(f"/gateway/{actor_id}/health")
    assert (await act(http, actor_id, "counts")).json()["output"]["sleeps"] == 0


@scenario
async def test_requests_during_sleep_are_held_and_skipping_the_wait_is_not(http):
    actor_id = await create(http)
    await act(http, actor_id, "go")
    await asyncio.sleep(0.2)
    skipping, held = await asyncio.gather(act(http, actor_id, "counts", x_rivet_skip_ready_wait="1"), act(http, actor_id, "counts"))
    assert skipping.headers["x-rivet-actor-generation"] == "1"
    assert held.json()["output"] == {"wakes": 2, "sleeps": 1, "pings": 0}


@scenario
async def test_an_action_that_ends_in_grace_is_answered_by_its_generation(http):
    actor_id = await create(http)
    running = asyncio.create_task(act(http, actor_id, "slow", 6))
    await asyncio.sleep(0.5)
    await act(http, actor_id, "go")
    answer = await running
    assert (answer.json(), answer.headers["x-rivet-actor-generation"]) == ({"output": "done"}, "1")


@scenario
async def test_an_action_that_outlives_grace_loses_its_reply(http):
    actor_id = await create(http)
    running = asyncio.create_task(act(http, actor_id, "slow", 30))
    await asyncio.sleep(0.5)
    await act(http, actor_id, "go")
    answer = await running
    assert (answer.status_code, error_of(answer)) == (500, "actor.dropped_reply")


@scenario
async def test_a_request_waits_for_a_slow_start(http):
    actor_id = await create(http, "slowStart")
    started = clock.monotonic()
    assert (await act(http, actor_id, "hello")).json() == {"output": "hello"}
    assert clock.monotonic() - started >= 2.9


@scenario
async def test_skipping_the_wait_during_the_start_is_refused_by_the_host(http):
    actor_id = await create(http, "slowStart")
    await asyncio.sleep(1)
    answer = await act(http, actor_id, "hello", x_rivet_skip_ready_wait="1")
    assert (answer.status_code, error_of(answer)) == (500, "actor.starting")


@scenario
async def test_a_broken_start_is_reported_without_its_text_and_recovers(http):
    Broken.broken = True
    actor_id = await create(http, "broken")
    answer = await act(http, actor_id, "hello")
    assert (answer.status_code, error_of(answer)) == (400, "guard.actor_wake_retries_exceeded")
    assert answer.json()["metadata"] == {"actor_id": actor_id, "reason": "actor_stopped_before_ready", "wake_retries": 8}
    assert answer.json()["message"] == f"Actor {actor_id} stopped before becoming ready after 8 wake retries: actor_stopped_before_ready."
    record = await shown(http, actor_id)
    assert record["error"] == {"crashed": {"message": "the hook's own text"}}
    assert record["sleep_ts"] is not None
    Broken.broken = False
    assert (await act(http, actor_id, "hello")).json() == {"output": "hello"}
    assert "error" not in await shown(http, actor_id)


@scenario
async def test_a_schedule_wakes_a_sleeping_actor(http):
    actor_id = await create(http)
    await act(http, actor_id, "ping_later", 60)
    await asyncio.sleep(30)
    assert (await shown(http, actor_id))["sleep_ts"] is not None
    await asyncio.sleep(32)
    assert (await act(http, actor_id, "counts")).json()["output"]["pings"] == 1


@scenario
async def test_a_schedule_due_during_grace_fires_in_the_next_generation(http):
    actor_id = await create(http)
    running = asyncio.create_task(act(http, actor_id, "slow", 5))
    await act(http, actor_id, "ping_later", 2)
    await act(http, actor_id, "go")
    await running
    await asyncio.sleep(2)
    answer = await act(http, actor_id, "counts")
    assert answer.json()["output"] == {"wakes": 2, "sleeps": 1, "pings": 1}


@scenario
async def test_delete_waits_for_work_in_flight(http):
    actor_id = await create(http)
    running = asyncio.create_task(act(http, actor_id, "slow", 3))
    await asyncio.sleep(0.5)
    started = clock.monotonic()
    assert (await http.delete(f"/actors/{actor_id}", params=NS)).json() == {}
    assert clock.monotonic() - started >= 2.4
    assert (await running).json() == {"output": "done"}


@scenario
async def test_calls_around_a_destroy_by_the_actor(http):
    actor_id = await create(http)
    assert (await act(http, actor_id, "end")).status_code == 200
    seen = set()
    async with asyncio.timeout(20):
        while True:
            answer = await act(http, actor_id, "ping")
            seen.add(error_of(answer))
            if error_of(answer) == "actor.not_found":
                break
    assert seen <= {"actor.destroying", "actor.destroyed_while_waiting_for_ready", "actor.not_found"}
    assert await create(http) != actor_id


@scenario
async def test_a_request_held_by_a_destroy_is_told(http):
    actor_id = await create(http)
    running = asyncio.create_task(act(http, actor_id, "slow", 3))
    await asyncio.sleep(0.5)
    deleting = asyncio.create_task(http.delete(f"/actors/{actor_id}", params=NS))
    await asyncio.sleep(0.5)
    held = await act(http, actor_id, "ping")
    assert (held.status_code, error_of(held)) == (400, "actor.destroyed_while_waiting_for_ready")
    await asyncio.gather(running, deleting)


@scenario
async def test_rapid_create_and_destroy_leaves_nothing(http):
    for _ in range(20):
        actor_id = await create(http)
        await http.delete(f"/actors/{actor_id}", params=NS)
        assert error_of(await act(http, actor_id, "ping")) == "actor.not_found"
    assert http.app.host.slots == {}


@scenario
async def test_a_reschedule_restarts_by_itself(http):
    actor_id = await create(http)
    await act(http, actor_id, "ping")
    await http.post(f"/actors/{actor_id}/reschedule", params=NS, json={})
    await asyncio.sleep(3)
    record = await shown(http, actor_id)
    assert record["connectable_ts"] is not None
    assert (await act(http, actor_id, "counts")).json()["output"] == {"wakes": 2, "sleeps": 1, "pings": 1}


@pytest.mark.parametrize("place", ["memory", "sqlite"])
def test_shutdown_saves_everything_and_the_next_process_goes_on(place, tmp_path):
    async def run():
        from runtime.storage.memory import MemoryStorage

        storage = MemoryStorage() if place == "memory" else tmp_path
        async with httpx.AsyncClient(timeout=60) as patient:
            async with serving(Registry(Life), storage=storage) as http:
                actor_id = await create(http)
                await act(http, actor_id, "ping")
                await act(http, actor_id, "ping_later", 100)
                patient.base_url = http.base_url
                running = asyncio.create_task(act(patient, actor_id, "slow", 2))
                await asyncio.sleep(0.5)
            assert (await running).json() == {"output": "done"}
        async with serving(Registry(Life), storage=storage) as http:
            record = await shown(http, actor_id)
            assert record["connectable_ts"] is None
            assert record["sleep_ts"] is not None
            await asyncio.sleep(110)
            answer = await act(http, actor_id, "counts")
            assert answer.json()["output"]["pings"] == 2

    run_virtual(run())


def test_the_grace_override_bounds_a_stop():
    async def run():
        async with serving(Registry(Life), HostOptions(grace_period_override=0.5)) as http:
            actor_id = await create(http)
            running = asyncio.create_task(act(http, actor_id, "slow", 30))
            await asyncio.sleep(0.5)
            started = clock.monotonic()
            await http.delete(f"/actors/{actor_id}", params=NS)
            assert clock.monotonic() - started < 2
            assert error_of(await running) == "actor.dropped_reply"

    run_virtual(run())
