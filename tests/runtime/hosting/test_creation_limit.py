"""Creations per namespace."""

import contextlib

import pytest

from runtime import NO_RATE_LIMITS, RateLimits
from runtime.errors import ActorError
from runtime.hosting.standalone import creation_limit
from runtime.hosting.standalone.creation_limit import CreationLimit


@pytest.fixture
def time(monkeypatch):
    """The clock of the limits: a list of one number."""
    time = [100.0]
    monkeypatch.setattr("runtime.gateway.rate_limits.clock.monotonic", lambda: time[0])
    return time


def admitted(limit, *namespaces):
    return sum(_admits(limit, namespace) for namespace in namespaces)


def _admits(limit, namespace):
    with contextlib.suppress(ActorError):
        limit.check(namespace)
        return True
    return False


def test_a_bucket_is_kept_as_long_as_there_is_something_in_it(time):
    limit = CreationLimit(RateLimits(creation_burst=2, creation_interval=10))
    assert admitted(limit, *"aaab") == 3
    time[0] += 10
    assert admitted(limit, *"aa") == 1
    time[0] += 15
    assert admitted(limit, *"aaa") == 1
    time[0] += 1000
    assert admitted(limit, *"aaa") == 2


def test_namespaces_without_number_cost_bounded_memory_and_get_no_free_pass(time, monkeypatch):
    monkeypatch.setattr(creation_limit, "MAX_BUCKETS", 10)
    monkeypatch.setattr(creation_limit, "SHARED_BUCKETS", 4)
    limit = CreationLimit(RateLimits(creation_burst=2, creation_interval=10))
    assert admitted(limit, *(f"known{number}" for number in range(10))) == 10
    assert admitted(limit, *(f"flood{number}" for number in range(1000))) == 4 * 2
    assert admitted(limit, "known3") == 1
    assert len(limit._buckets.current) + len(limit._buckets.before) + len(limit._shared) <= 24
    for _ in range(5):
        time[0] += 21
        admitted(limit, *(f"again{number}" for number in range(1000)))
        assert len(limit._buckets.current) + len(limit._buckets.before) + len(limit._shared) <= 24


def test_without_a_limit_there_is_none(time):
    limit = CreationLimit(NO_RATE_LIMITS)
    assert admitted(limit, *["a"] * 10_000) == 10_000
    assert limit._buckets.current == {}
