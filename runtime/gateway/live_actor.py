"""How the gateway gets at a live actor: the seam between who finds a generation and who answers with it.

Finding differs from host to host (slots here, a control plane's order elsewhere); answering does not. HTTP requests and WebSocket
upgrades go through the same reach, so that a generation on its way out is followed by the next one in one place only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from runtime.actor.lifecycle.task import ActorTask
    from runtime.errors import ActorError
    from runtime.replies import Headers

# `actor.destroying` is not among them: nothing follows.
PASSING_REFUSALS = frozenset({"actor.stopping", "actor.starting", "actor.not_ready"})


@dataclass(frozen=True, slots=True)
class Live:
    """A generation that can be asked, and the `x-rivet-actor*` headers of its answers (WIRE-254)."""

    task: ActorTask
    headers: Headers = ()


class Reach(Protocol):
    """Finds the generation that takes a request."""

    async def live(self, actor_id: str, *, skip_ready_wait: bool = False, refused_by: Live | None = None) -> Live:
        """The generation for one request, started if need be (WIRE-200..212).

        Args:
            actor_id: The addressed actor.
            skip_ready_wait: Take any generation that exists, connectable or not (WIRE-212).
            refused_by: What an earlier call gave and what then refused in passing: not given again.

        Raises:
            ActorError: There is no generation to be had: a gateway error.
        """
        ...


def is_passing(refusal: ActorError) -> bool:
    """Whether a generation refused only because it is on its way out or in: nothing was begun, the next one may have the work."""
    return refusal.name in PASSING_REFUSALS
