"""Windows that the harness saw by itself: moments of the target that something then happened in.

A test about a moment proves that it met it. Many need not say so, because what passed through the harness shows it:

- a state that was waited for (`eventually(what=...)`, `boundary`), when a message to the target, or a wait, came after it: what is only the
  last thing that a test looks at is its outcome and no window;
- an HTTP request that was answered while another one of the test was under way;
- a socket that the stop of its actor closed;
- an answer of a later generation of the same actor, which shows that it stopped and started between;
- a wait that was seen through to its end, after which the test asked again, and a span of time that was measured.

Latches (`harness.testing.latch`) and what a test says itself (`harness.testing.witness`) count besides.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from client import Exchange, SocketFrame
from harness.evidence.transcript import Mark, RawExchange, Sighting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.evidence.transcript import Entry

ACTOR = "x-rivet-actor"
GENERATION = "x-rivet-actor-generation"
NEXT_GENERATION = "a later generation answers"
STOPPED = "a socket closed by the stop"
STOP = (1000, "actor.stopped")
"""Code and reason with which the stop of an actor closes sockets (WIRE-611)."""
# Only requests to an actor: that two questions to the manager overlap says nothing of a moment of the target.
_ACTION = re.compile(r"/gateway/[^/]+/(?P<path>[^?]*)")


def observed(entries: Iterable[Entry]) -> dict[str, int]:
    """How often each window was hit, by name."""
    # Derived from the transcript and not noted while it grows: so a test cannot forget to, and cannot claim one that it did not have.
    seen = list(entries)
    found = Counter(_acted_in(seen))
    exchanges = [entry for entry in seen if isinstance(entry, (Exchange, RawExchange))]
    found.update(_within(exchanges))
    later = _generations(exchanges)
    closed = sum(isinstance(one, SocketFrame) and one.kind == "closed" and (one.code, one.reason) == STOP for one in seen)
    return dict(found) | {name: count for name, count in ((NEXT_GENERATION, later), (STOPPED, closed)) if count}


def _acted_in(entries: Iterable[Entry]) -> Iterable[str]:
    """The states that were seen before the test went on to do something."""
    open_: list[Sighting] = []
    for entry in entries:
        if isinstance(entry, Sighting):
            if entry.whole:
                yield entry.window
            else:
                open_.append(entry)
        # A wait that began before the state was seen did not follow from it.
        if open_ and (begun := _begun(entry)) is not None:
            yield from (one.window for one in open_ if one.at <= begun)
            open_ = [one for one in open_ if one.at > begun]


def _begun(entry: Entry) -> float | None:
    """When the test did something: sent a message, or began to wait."""
    if isinstance(entry, Sighting):
        return entry.since
    if isinstance(entry, Mark):
        return None
    if isinstance(entry, SocketFrame):
        return entry.at if entry.kind in ("open", "sent") else None
    return entry.started


def _within(exchanges: Iterable[Exchange | RawExchange]) -> Iterable[str]:
    """Requests to actors that began before another one and ended after it, each once."""
    spans = [(one.started, one.ended, named[1]) for one in exchanges if _answered(one) and (named := _ACTION.search(_url(one)))]
    for started, ended, path in spans:
        if any(started < other and end < ended for other, end, _ in spans):
            yield f"asked during {path or '/'}"


def _generations(exchanges: Iterable[Exchange | RawExchange]) -> int:
    """How often an actor answered in a later generation than before."""
    newest: dict[str, int] = {}
    later = 0
    for exchange in exchanges:
        headers = _headers(exchange)
        actor, generation = headers.get(ACTOR), headers.get(GENERATION, "")
        if actor is not None and generation.isdecimal():
            # Later than seen before, so the first answer counts nothing: an actor of the fifth generation may have slept before the test.
            later += int(generation) > newest.get(actor, int(generation))
            newest[actor] = max(int(generation), newest.get(actor, 0))
    return later


def _answered(exchange: Exchange | RawExchange) -> bool:
    return (exchange.response if isinstance(exchange, RawExchange) else exchange.status) is not None


def _url(exchange: Exchange | RawExchange) -> str:
    return str(exchange.request.url) if isinstance(exchange, RawExchange) else exchange.url


def _headers(exchange: Exchange | RawExchange) -> Mapping[str, str]:
    if isinstance(exchange, RawExchange):
        return exchange.response.headers if exchange.response is not None else {}
    return exchange.response_headers
