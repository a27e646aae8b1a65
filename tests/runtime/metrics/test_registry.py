from types import SimpleNamespace

from runtime.metrics.registry import BUCKETS, Histogram, Metrics


def lines(metrics):
    return metrics.render().decode().splitlines()


def test_a_name_that_was_only_asked_for_lists_everything_at_zero():
    metrics = Metrics()
    metrics.of("idle")
    text = lines(metrics)
    for kind in ("action", "websocket_lifetime", "registered_task"):
        assert f'rivet_rivetkit_actor_user_tasks_active{{actor_name="idle",kind="{kind}"}} 0.0' in text
    assert 'rivet_rivetkit_actor_keep_awake_active{actor_name="idle",kind="internal_keep_awake"} 0.0' in text
    assert 'rivet_rivetkit_actor_inbox_depth{actor_name="idle",inbox="dispatch"} 0.0' in text


def test_kinds_that_no_family_lists_are_counted_and_not_shown():
    metrics = Metrics()
    metrics.of("a").task_started("cleanup_hook")
    metrics.of("a").task_ended("cleanup_hook", 0.1)
    assert "cleanup_hook" not in metrics.render().decode()


def test_inboxes_are_measured_at_the_scrape_and_a_stop_counts_once():
    metrics = Metrics().of("a")
    actor = SimpleNamespace(lifecycle_inbox=[1], dispatch_inbox=[1, 2], events=[])
    actor = type("Actor", (), vars(actor))()
    metrics.actor_started(actor)
    assert metrics.inbox_depths() == {"lifecycle": 1, "dispatch": 2, "lifecycle_event": 0}
    actor.dispatch_inbox.append(3)
    assert metrics.inbox_depths()["dispatch"] == 3
    metrics.actor_stopped(actor)
    metrics.actor_stopped(actor)
    assert (metrics.started, metrics.stopped, metrics.inbox_depths()["dispatch"]) == (1, 1, 0)


def test_buckets_are_cumulative_and_an_upper_bound_is_inside():
    histogram = Histogram()
    assert histogram.buckets() == [("+Inf", 0)]
    for value in (0.001, 0.002, 1000):
        histogram.observe(value)
    counts = dict(histogram.buckets())
    assert (counts["0.001"], counts["0.0025"], counts["60.0"], counts["+Inf"]) == (1, 2, 2, 3)
    assert len(counts) == len(BUCKETS) + 1


def test_a_refused_event_blames_nobody_for_it():
    metrics = Metrics().of("a")
    metrics.overloaded("lifecycle_event_inbox", "state_mutated")
    assert metrics.overloads["lifecycle_event_inbox", "state_mutated"] == 1
    # Whose mutation it was, only the state knows (METRIC-022).
    assert not any(metrics.mutation_overloads.values())
