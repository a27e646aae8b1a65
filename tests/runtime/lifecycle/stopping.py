"""An actor whose parts note what a stop asks of them."""

from types import SimpleNamespace

from runtime.actor.lifecycle.abort import AbortSignal
from runtime.actor.lifecycle.activity import Activity
from runtime.actor.lifecycle.tracked_work import WorkTracker
from tests.runtime.parts import Owner


class Conns(SimpleNamespace):
    def __len__(self):
        return 0


class Stopping(Owner):
    """`steps`: what was asked, in order. A step named in `failures` raises its error."""

    def __init__(self, *, hooks=(), grace_period=15.0, failures=None):
        super().__init__(steps=[], failures=failures or {}, grace_period=grace_period, debug=False)
        self.definition = SimpleNamespace(hooks=hooks)
        self.activity = Activity(lambda: None)
        self.work = WorkTracker(self.activity, self.metrics, self.log)
        self.abort = AbortSignal()
        self.abort.add_listener(lambda: self.steps.append("abort"))
        note, wait = self._note, self._wait
        self.schedules = SimpleNamespace(
            suspend=note("schedules.suspend"), sync_alarm=wait("schedules.sync_alarm"), drain=wait("schedules.drain")
        )
        self.idle = SimpleNamespace(disarm=note("idle.disarm"))
        self.conns = Conns(
            begin_stop=note("conns.begin_stop"), close_raw_sockets=note("conns.close_raw_sockets"), freeze=note("conns.freeze"),
            end_generation=wait("conns.end_generation"),
        )  # fmt: skip
        self.saver = SimpleNamespace(
            request=note("saver.request"), stop_timer=note("saver.stop_timer"), save_now=wait("saver.save_now"), idle=wait("saver.idle")
        )
        self.run = SimpleNamespace(active=False, cancel=note("run.cancel"), join=wait("run.join"))
        self.database = SimpleNamespace(fence=note("database.fence"), quiet=wait("database.quiet"), close=wait("database.close"))
        self.queue = SimpleNamespace(drain=wait("queue.drain"))
        self.state = SimpleNamespace(flush=note("state.flush"))
        self.refuse_dispatch = note("refuse_dispatch")

    def enter(self, state):
        self.steps.append(str(state))

    async def call_hook(self, hook, context, *, timeout, label):
        await self.hook(hook)

    def _note(self, what):
        def noted(*args, **more):
            self.steps.append(" ".join([what, *map(str, args), *(f"{name}={value}" for name, value in more.items())]))
            if what in self.failures:
                raise self.failures[what]

        return noted

    def _wait(self, what):
        noted = self._note(what)

        async def waited(*args, **more):
            noted(*args, **more)

        return waited
