"""What was reported of generations, until the engine has surely stored it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from runtime.hosting.engine.protocol.lives import Checkpoint, Event, StateEvent, Stopped
from runtime.hosting.engine.protocol.messages import Events

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runtime.hosting.engine.ports import Life
    from runtime.hosting.engine.protocol.lives import Inner

PORTION = 500
"""Events of one message when all are sent again."""


class _Reports:
    """The events of one generation."""

    __slots__ = ("ended", "kept", "next_index")

    def __init__(self) -> None:
        self.next_index = 0
        self.kept: list[Event] = []
        self.ended = False


class History:
    """Numbers events, keeps them and gives them again after every init (ENGINE-090, ENGINE-092, ENGINE-093).

    The final `Stopped` is kept, too: the engine stores an event when it worked on it, not when it read it. One that dies in between would
    wait for a `Stopped` for half an hour. Events that it has already are ignored by it (ENGINE-091), so sending too much is always safe.
    """

    def __init__(self) -> None:
        self._lives: dict[Life, _Reports] = {}
        self._generations: dict[str, set[int]] = {}
        self._ended: deque[tuple[float, Life]] = deque()

    def __len__(self) -> int:
        return sum(len(reports.kept) for reports in self._lives.values())

    @property
    def living(self) -> bool:
        """Whether a generation that began here has not ended."""
        return any(not reports.ended for reports in self._lives.values())

    def is_newest(self, life: Life) -> bool:
        """Whether no later generation of the actor began here."""
        return life[1] >= max(self._generations.get(life[0], ()), default=0)

    def add(self, life: Life, inner: Inner, now: float) -> Event:
        """The event that says it."""
        reports = self._reports(life)
        event = Event(Checkpoint(*life, reports.next_index), inner)
        reports.next_index += 1
        reports.kept.append(event)
        if isinstance(inner, StateEvent) and isinstance(inner.state, Stopped):
            reports.ended = True
            self._ended.append((now, life))
        return event

    def again(self) -> Iterator[Events]:
        """All that is kept, in messages of moderate size."""
        portion: list[Event] = []
        for reports in self._lives.values():
            for event in reports.kept:
                portion.append(event)
                if len(portion) == PORTION:
                    yield Events(tuple(portion))
                    portion = []
        if portion:
            yield Events(tuple(portion))

    def acknowledged(self, checkpoints: Sequence[Checkpoint]) -> None:
        """The engine has stored events up to these."""
        for checkpoint in checkpoints:
            reports = self._lives.get(checkpoint.life)
            if reports is None:
                continue
            reports.kept = [event for event in reports.kept if event.checkpoint.index > checkpoint.index]
            if reports.ended and not reports.kept:
                self._forget(checkpoint.life)

    def begun(self, life: Life) -> None:
        """A generation begins here: the engine has done with the ends of earlier ones."""
        self._reports(life)
        actor_id, generation = life
        for older in [one for one in self._generations[actor_id] if one < generation]:
            if self._lives[actor_id, older].ended:
                self._forget((actor_id, older))

    def sweep(self, before: float) -> None:
        """Drop generations that ended before that time: the engine has given up waiting for their end."""
        while self._ended and self._ended[0][0] < before:
            _, life = self._ended.popleft()
            if life in self._lives:
                self._forget(life)

    def _reports(self, life: Life) -> _Reports:
        reports = self._lives.get(life)
        if reports is None:
            reports = self._lives[life] = _Reports()
            self._generations.setdefault(life[0], set()).add(life[1])
        return reports

    def _forget(self, life: Life) -> None:
        del self._lives[life]
        generations = self._generations[life[0]]
        generations.discard(life[1])
        if not generations:
            del self._generations[life[0]]
