"""Metrics of a process that hosts actors, as Prometheus text (section 8.1 of the lifecycle specification).

Why own counters: a labelled prometheus-client child costs a lock per update, and one action updates several. Here an update is an entry
of a dict, and the text is made when somebody scrapes.

Kinds of work arrive as the texts of their labels: whoever counts something knows this module, this module knows nobody.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from typing import TYPE_CHECKING, Protocol

from runtime.metrics.exposition import Row, counter, gauge, histogram

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sized

# The names are the peer's, prefix included: dashboards that people have must fit.
PREFIX = "rivet_rivetkit_actor_"
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
USER_TASKS = (
    "action", "http", "websocket_lifetime", "websocket_callback", "queue_wait", "scheduled_action", "disconnect_callback", "wait_until",
    "registered_task", "sleep_finalize", "destroy_request",
)  # fmt: skip
"""The kinds of METRIC-020. All are listed by every scrape (METRIC-023), also `registered_task`, which here is none."""
KEEP_AWAKE = ("keep_awake", "internal_keep_awake")
MUTATIONS = ("internal_replace", "has_initialized", "input_set", "scheduled_events_update", "user_set_state", "user_mutate_state")
OPERATIONS = {
    "lifecycle_inbox": ("start_actor", "stop_actor", "fire_alarm"),
    "dispatch_inbox": ("dispatch_action", "dispatch_http", "dispatch_queue_send", "dispatch_websocket_open"),
    "lifecycle_event_inbox": ("save_requested", "state_mutated"),
}
"""What can be refused by which inbox."""
_STEPS = ("core_init", "runtime_preamble", "post_ready", "total")
_PHASES = (
    ("load_persisted", "unknown", "success"),
    *((step, is_new, "success") for step in _STEPS for is_new in ("true", "false")),
    *(("total", is_new, "error") for is_new in ("true", "false", "unknown")),
)


class Histogram:
    """Cumulative buckets, sum and count."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Add one observation in seconds."""
        self.counts[bisect_left(BUCKETS, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative counts by upper bound; only the last one as long as nothing was observed, which keeps a scrape short."""
        if not any(self.counts):
            # Most combinations of most actors never happen: fifteen lines each would be nearly all of the text.
            return [("+Inf", 0)]
        running = 0
        rows: list[tuple[str, float]] = []
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), self.counts, strict=True):
            running += count
            rows.append((bound, running))
        return rows


class LiveActor(Protocol):
    """What a scrape reads of a generation that is alive: its inboxes."""

    @property
    def lifecycle_inbox(self) -> Sized:
        """Commands that wait."""
        ...

    @property
    def dispatch_inbox(self) -> Sized:
        """Calls that wait."""
        ...

    @property
    def events(self) -> Sized:
        """Lifecycle events that wait."""
        ...


class ActorMetrics:
    """The figures of all actors of one name. `active` and `durations` are by kind of work."""

    def __init__(self) -> None:
        self.active: dict[str, int] = defaultdict(int)
        self.durations: dict[str, Histogram] = defaultdict(Histogram)
        self.mutations: dict[str, int] = dict.fromkeys(MUTATIONS, 0)
        self.mutation_overloads: dict[str, int] = dict.fromkeys(MUTATIONS, 0)
        # The generations themselves and no sums: depths change with every item, and are asked for with every scrape only.
        self.live: set[LiveActor] = set()
        # Listed from the start: a series that appears with its first event has no rate for it (METRIC-023).
        self.overloads = {(inbox, operation): 0 for inbox, operations in OPERATIONS.items() for operation in operations}
        self.phases = {labels: Histogram() for labels in _PHASES}
        self.shutdown_wait: dict[str, Histogram] = {"sleep": Histogram(), "destroy": Histogram()}
        self.shutdown_timeouts = {"sleep": 0, "destroy": 0}
        self.create_state = Histogram()
        self.create_vars = Histogram()
        self.started = self.stopped = 0
        self.connections = self.connections_total = 0
        self.queue_sizes = self.queue_sent = self.queue_received = 0
        self.drain_warnings: dict[str, int] = {"internal_keep_awake": 0, "http_requests": 0}
        self.close_outcomes: dict[str, int] = defaultdict(int)
        self.close_durations = Histogram()

    def task_started(self, kind: str) -> None:
        """One unit of work began."""
        self.active[kind] += 1

    def task_ended(self, kind: str, seconds: float) -> None:
        """One unit of work ended."""
        # In a gauge of the name and not of the actor, so it must come down by whatever path work ends (METRIC-024).
        self.active[kind] -= 1
        self.durations[kind].observe(seconds)

    def connection_opened(self) -> None:
        """A connection pipeline succeeded (CONN-090)."""
        self.connections += 1
        self.connections_total += 1

    def connection_closed(self) -> None:
        """A connection left the table."""
        self.connections -= 1

    def queue_changed(self, by: int) -> None:
        """Stored messages came or went."""
        self.queue_sizes += by

    def queue_messages_sent(self, count: int) -> None:
        """Messages were accepted."""
        self.queue_sent += count

    def queue_messages_received(self, count: int) -> None:
        """Messages were handed to actor code; a redelivery counts again (QUEUE-080)."""
        self.queue_received += count

    def actor_started(self, actor: LiveActor) -> None:
        """A generation is ready."""
        self.live.add(actor)
        self.started += 1

    def actor_stopped(self, actor: LiveActor) -> None:
        """A generation is over; a repetition counts once (METRIC-024)."""
        if actor in self.live:
            self.live.discard(actor)
            self.stopped += 1

    def inbox_depths(self) -> dict[str, int]:
        """Waiting items by inbox, over all live generations (METRIC-005)."""
        return {
            "lifecycle": sum(len(actor.lifecycle_inbox) for actor in self.live),
            "dispatch": sum(len(actor.dispatch_inbox) for actor in self.live),
            "lifecycle_event": sum(len(actor.events) for actor in self.live),
        }

    def overloaded(self, inbox: str, operation: str) -> None:
        """An inbox refused an item (METRIC-004, METRIC-006)."""
        self.overloads[inbox, operation] = self.overloads.get((inbox, operation), 0) + 1

    def drain_failed(self, subsystem: str) -> None:
        """A destroyed actor left work of that subsystem behind (DESTROY-028)."""
        self.drain_warnings[subsystem] += 1

    def close_cycle(self, outcome: str, seconds: float) -> None:
        """A raw socket's close cycle was acknowledged (RAWWS-068)."""
        self.close_outcomes[outcome] += 1
        self.close_durations.observe(seconds)


class Metrics:
    """All figures of the process; `of(name)` are those of one actor name."""

    def __init__(self) -> None:
        self._actors: dict[str, ActorMetrics] = {}

    def of(self, actor_name: str) -> ActorMetrics:
        """The figures of one actor name, created on first use."""
        # By name and not by actor: figures must not grow with the number of actors, nor end with one.
        found = self._actors.get(actor_name)
        if found is None:
            found = self._actors[actor_name] = ActorMetrics()
        return found

    def render(self) -> bytes:
        """Prometheus text, version 0.0.4."""
        return "".join((*self._work_families(), *self._lifecycle_families(), *self._traffic_families())).encode()

    def _gauge(self, name: str, labels: tuple[str, ...], rows: Iterable[Row]) -> str:
        return gauge(PREFIX + name, ("actor_name", *labels), rows)

    def _counter(self, name: str, labels: tuple[str, ...], rows: Iterable[Row]) -> str:
        return counter(PREFIX + name, ("actor_name", *labels), rows)

    def _histogram(self, name: str, labels: tuple[str, ...], rows: Iterable[tuple[tuple[str, ...], Histogram]]) -> str:
        return histogram(PREFIX + name, ("actor_name", *labels), ((values, one.buckets(), one.total) for values, one in rows))

    def _work_families(self) -> Iterator[str]:
        actors = self._actors.items()
        yield self._gauge("user_tasks_active", ("kind",), [((n, k), m.active[k]) for n, m in actors for k in USER_TASKS])
        # Generators of whole families: a scrape holds one family as rows at a time and everything only as text.
        yield self._histogram("user_task_duration_seconds", ("kind",), [((n, k), m.durations[k]) for n, m in actors for k in USER_TASKS])
        yield self._gauge("keep_awake_active", ("kind",), [((n, k), m.active[k]) for n, m in actors for k in KEEP_AWAKE])
        yield self._gauge("shutdown_tasks_active", (), [((n,), m.active["wait_until"] + m.active["registered_task"]) for n, m in actors])
        yield self._gauge("http_requests_active", (), [((n,), m.active["http"]) for n, m in actors])
        yield self._counter("state_mutation", ("reason",), [((n, r), c) for n, m in actors for r, c in m.mutations.items()])
        rows = [((n, r), c) for n, m in actors for r, c in m.mutation_overloads.items()]
        yield self._counter("state_mutation_overload", ("reason",), list(rows))
        yield self._gauge("inbox_depth", ("inbox",), [((n, i), d) for n, m in actors for i, d in m.inbox_depths().items()])
        # Three families by inbox, because the label is `command` for two of them and `event` for the third (METRIC-006).
        for inbox, label in (("lifecycle_inbox", "command"), ("dispatch_inbox", "command"), ("lifecycle_event_inbox", "event")):
            name = "lifecycle_event_overload" if inbox == "lifecycle_event_inbox" else f"{inbox}_overload"
            rows = [((n, o), c) for n, m in actors for (i, o), c in m.overloads.items() if i == inbox]
            yield self._counter(name, (label,), list(rows))

    def _lifecycle_families(self) -> Iterator[str]:
        actors = self._actors.items()
        yield self._gauge("active_count", (), [((n,), len(m.live)) for n, m in actors])
        yield self._counter("started", (), [((n,), m.started) for n, m in actors])
        yield self._counter("stopped", (), [((n,), m.stopped) for n, m in actors])
        yield self._histogram("shutdown_wait_seconds", ("reason",), [((n, r), h) for n, m in actors for r, h in m.shutdown_wait.items()])
        yield self._counter("shutdown_timeout", ("reason",), [((n, r), c) for n, m in actors for r, c in m.shutdown_timeouts.items()])
        yield self._histogram(
            "startup_phase_duration_seconds", ("phase", "is_new", "outcome"), [((n, *k), h) for n, m in actors for k, h in m.phases.items()]
        )
        yield self._histogram("create_state_duration_seconds", (), [((n,), m.create_state) for n, m in actors])
        yield self._histogram("create_vars_duration_seconds", (), [((n,), m.create_vars) for n, m in actors])
        yield self._counter(
            "direct_subsystem_shutdown_warning",
            ("subsystem", "operation"),
            [((n, s, "destroy_drain"), c) for n, m in actors for s, c in m.drain_warnings.items()],
        )

    def _traffic_families(self) -> Iterator[str]:
        actors = self._actors.items()
        yield self._gauge("connections_active", (), [((n,), m.connections) for n, m in actors])
        yield self._counter("connections", (), [((n,), m.connections_total) for n, m in actors])
        yield self._gauge("queue_depth", (), [((n,), m.queue_sizes) for n, m in actors])
        yield self._counter("queue_messages_sent", (), [((n,), m.queue_sent) for n, m in actors])
        yield self._counter("queue_messages_received", (), [((n,), m.queue_received) for n, m in actors])
        yield self._counter("close_cycles", ("outcome",), [((n, o), c) for n, m in actors for o, c in m.close_outcomes.items()])
        yield self._histogram("close_cycle_duration_seconds", (), [((n,), m.close_durations) for n, m in actors])
