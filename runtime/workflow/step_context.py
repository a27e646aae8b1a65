"""What a step body gets: the actor, but only while the step runs (section 2.3)."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtime.workflow.ports import RunContext
    from runtime.workflow.workflow_run import WorkflowRun

GUARD_KEY = "__rivet_actor_workflow_guard_triggered"
# The names in messages are those of the specification, whatever the members are called here (WF-010).
_GUARDED = {
    "state": "state",
    "vars": "vars",
    "db": "db",
    "client": "client",
    "broadcast": "broadcast",
    "keep_awake": "keepAwake",
    "wait_until": "waitUntil",
    "destroy": "destroy",
}


class StepContext:
    """What a step body gets: the actor, but only while the step runs (WF-010).

    Always: `actor_id`, `name`, `key`, `log`, `abort_signal`. Only while the step runs: `state`, `vars`, `db`, `client()`, `broadcast`,
    `queue.send`, `keep_awake`, `wait_until`, `destroy`.

    Raises:
        RuntimeError: A guarded member was used after the step ended: `<feature> is only available inside workflow steps`.
    """

    def __init__(self, run: WorkflowRun) -> None:
        self._run = run
        self._open = True
        self.actor_id = run.context.actor_id
        self.name = run.context.name
        self.key = run.context.key
        self.log = run.context.log
        self.abort_signal = run.abort
        self.queue = _StepQueue(self)

    def __getattr__(self, member: str) -> Any:
        feature = _GUARDED.get(member)
        if feature is None:
            raise AttributeError(f"a step context has no member {member!r}")
        return getattr(self._use(feature), member)

    def _use(self, feature: str) -> RunContext:
        # At each use and not at the first: a body may keep the context and come back after its step.
        if not self._open:
            self._trip()
            raise RuntimeError(f"{feature} is only available inside workflow steps")
        return self._run.context

    def _close(self) -> None:
        self._open = False

    def _trip(self) -> None:
        # Late code usually swallows the error: a trace of it stays where a test of the workflow can look (WF-012).
        context = self._run.context
        # As far as it goes: after its generation the code gets the error of the guard, and not one of what the guard tried (WF-011).
        with suppress(Exception):
            state = context.state if self._run.has_state else None
            if isinstance(state, dict) and "guardTriggered" in state:
                state["guardTriggered"] = True
        with suppress(Exception):
            context.wait_until(context.kv.put(GUARD_KEY, "true"))


class _StepQueue:
    """The sending half of the actor's queue."""

    def __init__(self, step: StepContext) -> None:
        self._step = step

    async def send(self, name: str, body: Any = None) -> Any:
        """Send to the actor's own queue."""
        return await self._step._use("queue.send").queue.send(name, body)  # noqa: SLF001 - same module
