"""What the inspector shows of the workflow of an interpreter actor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from driver_tests.inspecting import inspect
from harness.testing.interpreter import made, op

NAME = "interpreterWorkflow"


@dataclass(frozen=True)
class History:
    """The history at one moment: the state, and by path (`loop/~0/step`) the kinds of entries, their metadata and their ids.

    An entry that was not yet flushed when its generation was cut off is made again after the wake, with another id.
    """

    state: str
    entries: dict[str, Any]
    metadata: dict[str, Any]
    ids: dict[str, str]

    @classmethod
    def of(cls, shown: Any) -> History:
        """Read an answer of the inspector."""
        if shown["history"] is None:
            return cls(shown["workflowState"], {}, {}, {})
        names = shown["history"]["nameRegistry"]

        def path(entry: Any) -> str:
            parts = entry["location"]
            return "/".join(names[part["val"]] if part["tag"] == "WorkflowNameIndex" else f"~{part['val']['iteration']}" for part in parts)

        entries = {path(entry): entry["kind"] for entry in shown["history"]["entries"]}
        found = shown["history"]["entryMetadata"]
        ids = {path(one): one["id"] for one in shown["history"]["entries"]}
        return cls(shown["workflowState"], entries, {where: found.get(one) for where, one in ids.items()}, ids)

    def tag(self, path: str) -> str:
        """The kind of the entry at a path."""
        return self.entries[path]["tag"].removeprefix("Workflow").removesuffix("Entry")

    def value(self, path: str) -> Any:
        """What the entry at a path holds."""
        return self.entries[path]["val"]

    def below(self, path: str) -> set[str]:
        """The paths below one."""
        return {one for one in self.entries if one.startswith(f"{path}/")}


def workflow(conform: Any, *program: Any, **places: Any) -> Any:
    """The test's actor, made with this workflow."""
    return made(conform, NAME, run=list(program), **places)


async def history(conform: Any) -> History:
    """The history of the test's actor now."""
    return History.of(await (await inspect(conform, NAME)).get("workflow-history"))


async def ended(conform: Any, eventually: Any, state: str = "completed", timeout: float = 21) -> History:
    """The history once the workflow is in a state. A wait of more than 20 s is polled a hundred times at most: a fault fails soon."""
    inspector = await inspect(conform, NAME)
    shown = await eventually(
        lambda: inspector.get("workflow-history"),
        until=lambda found: found["workflowState"] == state,
        what=f"workflow state {state}",
        timeout=timeout,
    )
    return History.of(shown)


FAIL = op("throw", kind="critical", message="the end")
