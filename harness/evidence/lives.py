"""When actors were awake and asleep, as far as a black box shows it.

Two sources, kept apart: the manager's records (with the target's clock), and answers, which prove that an actor was awake at that moment.
Between two proofs nothing is claimed.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from harness.evidence.span import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.evidence.traffic import Traffic

MOST_ACTORS = 8
GRAIN = 0.001
"""Records are in whole milliseconds, rounded down."""
SHORT = 8
"""Characters of an actor id that are shown."""
POINTS = ("created", "destroyed")


def lives(traffic: Traffic, epoch: float) -> list[Span]:
    """The spans of every actor that the manager told of; `epoch` is the wall clock at the beginning of the test, in seconds."""
    identify = identities(traffic)
    spans: list[Span] = []
    for actor in list(dict.fromkeys(record["actor_id"] for _, record in traffic.records))[:MOST_ACTORS]:
        seen = [(at, record) for at, record in traffic.records if record["actor_id"] == actor]
        row = f"actor {seen[0][1].get('name', '')} ({actor[:SHORT]})"
        # By the end of a call: an actor that is asleep when it is asked wakes for the answer.
        answers = sorted(call.ended for call in traffic.calls if call.ok and identify(call.actor) == actor)
        reported = _reported(row, seen, answers, epoch)
        touches = [(start, end) for who, start, end in traffic.touches if identify(who) == actor]
        spans += [*_answering(row, answers, reported), *reported, *_own_wakes(reported, touches)]
    return spans


def identities(traffic: Traffic) -> Callable[[str], str]:
    """From what a request named to the actor id; a name and key that had several actors stays as it is."""
    known: dict[str, set[str]] = {}
    for _, record in traffic.records:
        known.setdefault(f"{record.get('name')}/{record.get('key') or ''}", set()).add(record["actor_id"])

    def identify(named: str) -> str:
        found = known.get(named, set())
        # A key whose actor was destroyed and made again has two: to guess which one a request meant would draw a life that nobody had.
        return next(iter(found)) if len(found) == 1 else named

    return identify


def _reported(row: str, seen: Sequence[tuple[float, Mapping[str, Any]]], answers: Sequence[float], epoch: float) -> list[Span]:
    """One stretch per state and beginning, from when it began to when it was last reported."""
    found: dict[tuple[float, str], list[float]] = {}
    for at, record in seen:
        for kind, milliseconds in _states(record):
            # By the stamp and not by the look: several looks at one sleep are one stretch, a second sleep has another stamp.
            found.setdefault((milliseconds / 1000 - epoch, kind), []).append(at)
    spans: list[Span] = []
    for (stamp, kind), times in sorted(found.items()):
        # The clock of the records is coarse: a state has not begun before the last proof of another one within its millisecond.
        others = answers if kind == "asleep" else ()
        proofs = [*others, *(at for (_, other), those in found.items() if other != kind and other not in POINTS for at in those)]
        began = max([stamp, *(proof for proof in proofs if stamp < proof <= stamp + GRAIN and proof < min(times))])
        # An actor that several tests share may be older than this test; the axis begins with the test.
        label = f"{kind} before the test" if began < -GRAIN else kind
        if kind in POINTS:
            spans.append(Span(row, kind, f"{label}, says the manager", max(began, 0.0)))
        else:
            spans.append(Span(row, kind, f"{label}, says the manager", max(began, 0.0), max(times)))
    return spans


def _states(record: Mapping[str, Any]) -> list[tuple[str, int]]:
    def stamp(name: str) -> int | None:
        value = record.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    states = []
    if (created := stamp("create_ts")) is not None:
        states.append(("created", created))
    if (destroyed := stamp("destroy_ts")) is not None:
        states.append(("destroyed", destroyed))
    elif (asleep := stamp("sleep_ts")) is not None:
        states.append(("asleep", asleep))
    elif (awake := stamp("connectable_ts")) is not None:
        states.append(("awake", awake))
    return states


def _answering(row: str, answers: Sequence[float], reported: Sequence[Span]) -> list[Span]:
    """Answers that no reported sleep or destruction separates."""
    cuts = [span.at for span in reported if span.kind in ("asleep", "destroyed")]
    groups: list[list[float]] = []
    for answer in answers:
        # Nothing is claimed across a reported sleep, even if the answers on both sides lie close together.
        if groups and not any(groups[-1][-1] <= cut < answer for cut in cuts):
            groups[-1].append(answer)
        else:
            groups.append([answer])
    return [Span(row, "answering", _proof(len(one)), one[0], one[-1] if len(one) > 1 else None) for one in groups]


def _proof(count: int) -> str:
    return "answered a call, so it was awake then" if count == 1 else f"answered {count} calls, so it was awake at each"


def _own_wakes(reported: Sequence[Span], touches: Sequence[tuple[float, float]]) -> list[Span]:
    """Wakes with nothing of the test on the way to the actor."""
    states = [span for span in reported if span.kind not in POINTS]
    return [
        Span("alarms", "woke", "woke without a request of the test: an alarm, or another actor", after.at)
        for before, after in pairwise(states)
        if (before.kind, after.kind) == ("asleep", "awake")
        # One that was under way when the actor fell asleep counts as well: it may be what woke it.
        and not any(end > before.at and start <= after.at + GRAIN for start, end in touches)
    ]
