"""Which commands are new, and which are to be acknowledged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.hosting.engine.protocol.lives import Checkpoint, Reason, Start, Stop
from runtime.hosting.engine.protocol.messages import AckCommands

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.hosting.engine.ports import Life
    from runtime.hosting.engine.protocol.lives import Command

GENERATIONS = 4
"""Of one actor that are remembered one by one; no more of them overlap in a process."""
ACK_DELAY = 0.5


class Commands:
    """Tells what was ordered already from what is new (ENGINE-070 to ENGINE-075).

    The engine gives all commands again that were not acknowledged, after every init, those of actors that stopped long ago included. What
    was seen is therefore remembered for the life of the process; older generations of an actor than the last four as one number.

    Args:
        ack_delay: Seconds that acknowledgements are gathered for.
    """

    def __init__(self, ack_delay: float = ACK_DELAY) -> None:
        self._ack_delay = ack_delay
        self._seen: dict[str, dict[int, int]] = {}
        self._oldest: dict[str, int] = {}
        self._acks: dict[Life, int] = {}
        self._acks_due: float | None = None

    def take(self, commands: Sequence[Command], now: float) -> tuple[list[Command], list[Life]]:
        """What is to be done, in its order, and the generations that were called off before they began.

        A start that the same list calls off is not done at all (ENGINE-074), and neither is that stop. Who calls one off that was not lost
        waits for its end, though: these are the second list.
        """
        stops = {command.checkpoint.life: command for command in commands if isinstance(command.inner, Stop)}
        new: list[Command] = []
        unborn: list[Life] = []
        for command in commands:
            life, index = command.checkpoint.life, command.checkpoint.index
            if not self._is_new(life, index):
                continue
            stop = stops.get(life)
            if isinstance(command.inner, Start) and stop is not None and stop.checkpoint.index > index:
                self._is_new(life, stop.checkpoint.index)
                if isinstance(stop.inner, Stop) and stop.inner.reason is not Reason.LOST:
                    unborn.append(life)
            else:
                new.append(command)
        for command in commands:
            life, index = command.checkpoint.life, command.checkpoint.index
            self._acks[life] = max(index, self._acks.get(life, index))
        if commands and self._acks_due is None:
            self._acks_due = now + self._ack_delay
        return new, unborn

    def _is_new(self, life: Life, index: int) -> bool:
        actor_id, generation = life
        seen = self._seen.setdefault(actor_id, {})
        if generation < self._oldest.get(actor_id, generation) or index <= seen.get(generation, -1):
            return False
        seen[generation] = index
        if len(seen) > GENERATIONS:
            del seen[min(seen)]
            self._oldest[actor_id] = min(seen)
        return True

    def acknowledge(self, now: float) -> AckCommands | None:
        """The acknowledgements that are due, final ones included; each is given once (ENGINE-073)."""
        if self._acks_due is None or now < self._acks_due:
            return None
        self._acks_due = None
        acks, self._acks = self._acks, {}
        return AckCommands(tuple(Checkpoint(*life, index) for life, index in acks.items()))
