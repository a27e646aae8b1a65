"""A warm process that forks off lives, and writes down what they say until they die: `python -m tests.durability.nursery`.

It reads one order per line, a JSON object, and answers each with a line: what the child said, in order, and how it ended. The child is
the whole of a server and its client, on virtual time; only the nursery outlives it. What counts as an answer is what the server hands to
its transport, before the client has it: were an answer given too early, the client of a dying process would never learn of it.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import selectors
import signal
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

from client import ActorError, Client, RetryPolicy
from harness.session.virtual_loop import VirtualLoop
from runtime import NO_RATE_LIMITS, VIRTUAL_TIME, HostOptions, InProcessServer, Registry, SQLiteStorage
from runtime.hosting.standalone.host import StandaloneHost
from runtime.hosting.standalone.listener.asgi_app import GatewayApp
from tests.durability.actors import ACTORS
from tests.durability.commits import Commits, Plan, connection_class
from tests.durability.life import PATIENCE, VARIANTS, Life, script
from tests.durability.model import UNAIDED

BORN = 1_900_000_000.0
"""When lives begin, in seconds since the epoch: a quarter to a minute, so that nothing depends on when the test runs."""
LATER = 2000.0
"""How much later the next process begins: everything that was planned is due."""
EXPECTED = ("run handler failed", "no")
REAL_LIMIT = 60.0
IMPATIENT = RetryPolicy(outer_delays=(), attempts_get_or_create=1, attempts_get=1, seed=1)
KEYS = [*((name, "k") for name in (*VARIANTS, "flow", "storedFlow", "undo", "room")),
        *((name, key) for name in VARIANTS for key in ("deleted", "ended"))]  # fmt: skip


class Loop(VirtualLoop):
    """Does the jobs of threads in turn with everything else: the same life has the same commits."""

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        del executor
        future: asyncio.Future[Any] = self.create_future()

        def perform() -> None:
            if future.cancelled():
                return
            try:
                future.set_result(func(*args))
            except BaseException as error:
                future.set_exception(error)

        self.call_soon(perform)
        return future


class Tapped(GatewayApp):
    """Tells of every answer before it leaves."""

    say: Any

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        status = 0

        async def tell(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body" and not message.get("more_body"):
                self.say("answer", f"{scope['method']} {scope['path']}", status)
            elif message["type"] == "websocket.send":
                self.say("answer", "ws", 200)
            await send(message)

        await super().__call__(scope, receive, tell)


class Child:
    """One life."""

    def __init__(self, pipe: int, order: dict[str, Any]) -> None:
        self._pipe = pipe
        self._order = order

    def say(self, *event: Any) -> None:
        os.write(self._pipe, json.dumps(event, default=repr).encode() + b"\n")

    def run(self) -> None:
        structlog.configure(processors=[self._log], wrapper_class=structlog.make_filtering_bound_logger(40))
        task, late = (self._live, 0.0) if self._order["task"] == "live" else (self._check, LATER)
        with asyncio.Runner(loop_factory=lambda: Loop(wall_start=BORN + late)) as runner:
            runner.run(task())

    def _log(self, _logger: object, _method: str, event: Any) -> Any:
        # How the workflow ends that is rolled back.
        if (event.get("event"), str(event.get("error"))) != EXPECTED:
            self.say("log", event.get("event"), str(event.get("error") or event.get("exc_info") or ""))
        raise structlog.DropEvent

    def _server(self) -> InProcessServer:
        commits = Commits(Plan(**self._order.get("plan", {})), self.say)
        storage = SQLiteStorage(self._order["directory"], connection_class=connection_class(commits))
        host = StandaloneHost(Registry(*ACTORS), storage, HostOptions(rate_limits=NO_RATE_LIMITS))
        app = Tapped(host)
        app.say = self.say
        return InProcessServer(app, limits=VIRTUAL_TIME)

    async def _live(self) -> None:
        async with self._server() as server, Client(server.url, policy=IMPATIENT) as client:
            life = Life(client)
            for number, step in enumerate(script()):
                self.say("try", number)
                try:
                    async with asyncio.timeout(PATIENCE):
                        result = await step.do(life)
                except ActorError as error:
                    self.say("refused", number, f"{error.group}.{error.code}")
                except LookupError:
                    self.say("skipped", number)
                except BaseException as error:
                    self.say("broken", number, repr(error))
                else:
                    self.say("did", number, result)
            # Not in order: what was answered must be there without a stop.
            self.say("end")
            os.kill(os.getpid(), signal.SIGKILL)

    async def _check(self) -> None:
        """The next process: what is there, and whether everything still works."""
        async with self._server() as server, Client(server.url) as client:
            ids = {f"{name} {key}": record and record["actor_id"] for name, key in KEYS
                   for record in [await client.rest.find_actor(name, [key])]}  # fmt: skip
            # Whatever was due wakes its actor without anybody's help.
            await asyncio.sleep(UNAIDED)
            for name in ("flow", "storedFlow"):
                await client.get_or_create(name, ["k"]).send("go", 2)
            client.get_or_create("undo", ["k"])
            await client.get_or_create("undo", ["k"]).action("log")
            await asyncio.sleep(20)
            found: dict[str, Any] = {"ids": ids, "restarted": (BORN + LATER) * 1000}
            for name, key in KEYS:
                known = ids[f"{name} {key}"]
                handle = client.get_or_create(name, [key]) if known is None else client.get_for_id(name, known)
                if name in VARIANTS:
                    found[f"{name} {key}"] = await handle.action("report")
                    # Later work goes on.
                    assert await handle.action("save", 99) == 99
                else:
                    found[name] = await handle.action("left" if name == "room" else "log")
            listed = [record for name, _ in KEYS[:6] for record in (await client.rest.list_actors(name=name))["actors"]]
            found["living"] = [record["actor_id"] for record in listed]
            self.say("found", found)
        self.say("end")


def record(order: dict[str, Any]) -> dict[str, Any]:
    """Fork off a child and write down what it says."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        gc.disable()
        child = Child(writing, order)
        try:
            child.run()
        except BaseException:
            with suppress(BaseException):
                child.say("crash", traceback.format_exc()[-3500:])
        os._exit(0)
    os.close(writing)
    chunks, deadline, hung = [], time.monotonic() + REAL_LIMIT, False
    with selectors.DefaultSelector() as selector:
        selector.register(reading, selectors.EVENT_READ)
        while True:
            if not selector.select(max(0.0, deadline - time.monotonic())) and not hung:
                hung = True
                os.kill(pid, signal.SIGKILL)
                continue
            chunk = os.read(reading, 1 << 16)
            if not chunk:
                break
            chunks.append(chunk)
    os.close(reading)
    _, status, used = os.wait4(pid, 0)
    events = [json.loads(line) for line in b"".join(chunks).splitlines()]
    return {"events": events, "status": os.waitstatus_to_exitcode(status), "hung": hung, "cpu": used.ru_utime + used.ru_stime}


def main() -> None:
    """Carry out orders until there are no more."""
    # What is warm stays shared with every child.
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        Path(order["directory"]).mkdir(parents=True, exist_ok=True)
        sys.stdout.write(json.dumps(record(order)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
