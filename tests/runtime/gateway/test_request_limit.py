"""Budgets of requests per caller: exact while they last, bounded in number, and never looked through."""

import contextlib

import pytest

from runtime import RateLimits
from runtime.errors import ActorError
from runtime.gateway import request_limit
from runtime.gateway.request_limit import RequestLimit, caller_of


class Time:
    now = 100.0


@pytest.fixture
def time(monkeypatch):
    """The clock of the limits, to be set forward."""
    time = Time()
    monkeypatch.setattr("runtime.gateway.request_limit.clock.monotonic", lambda: time.now)
    return time


def passes(limit, address):
    with contextlib.suppress(ActorError):
        limit.count(address, "GET", b"/")
        return True
    return False


def test_the_window_passes_and_addresses_are_apart(time):
    limit = RequestLimit(RateLimits(requests=1, request_window=60))
    limit.count("a", "GET", b"/")
    limit.count("b", "GET", b"/")
    with pytest.raises(Exception, match="Too many requests to 'GET /x' from IP a"):
        limit.count("a", "GET", b"/x")
    time.now += 60
    limit.count("a", "GET", b"/")


def test_a_budget_lasts_for_its_own_window_whatever_the_generation(time):
    limit = RequestLimit(RateLimits(requests=1, request_window=60))
    assert passes(limit, "first")
    time.now += 59
    assert passes(limit, "late")
    for _ in range(2):
        time.now += 29
        assert not passes(limit, "late")
    time.now += 2
    assert passes(limit, "late")


def test_silent_addresses_are_forgotten_without_looking_through_them(time):
    limit = RequestLimit(RateLimits(requests=1, request_window=60))
    for number in range(5000):
        assert passes(limit, f"a{number}")
    time.now += 60
    before = limit._callers.current
    passes(limit, "b")
    assert limit._callers.before is before
    time.now += 60
    passes(limit, "b")
    assert limit._callers.before == {} or before is not limit._callers.before
    time.now += 1000
    passes(limit, "c")
    assert (list(limit._callers.current), limit._callers.before) == (["c"], {})


def test_callers_beyond_the_bound_share_budgets_and_take_nobody_elses(time, monkeypatch):
    monkeypatch.setattr(request_limit, "MAX_CALLERS", 10)
    monkeypatch.setattr(request_limit, "SHARED_BUDGETS", 4)
    limit = RequestLimit(RateLimits(requests=2, request_window=60))
    known = [f"known{number}" for number in range(10)]
    assert all(passes(limit, name) for name in known)
    assert sum(passes(limit, f"flood{number}") for number in range(1000)) == 4 * 2
    assert len(limit._callers.current) == 10
    assert [passes(limit, name) for name in known] == [True] * 10
    time.now += 60
    assert passes(limit, "flood1")


def test_requests_in_flight_outlive_their_window(time):
    limit = RequestLimit(RateLimits(requests=10, requests_in_flight=1, request_window=60))
    with limit.running("a"):
        time.now += 1000
        assert (passes(limit, "a"), passes(limit, "b")) == (False, True)
    assert passes(limit, "a")
    assert limit._running == {}


def test_nobody_in_particular_is_not_limited(time):
    limit = RequestLimit(RateLimits(requests=1, requests_in_flight=1))
    with limit.running(None), limit.running(None):
        assert all(passes(limit, None) for _ in range(5))
    assert passes(limit, "a")


@pytest.mark.parametrize(
    ("addresses", "callers"),
    [
        (["2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:0:1::"], {"2001:db8::"}),
        (["2001:db8:0:1::1", "2001:db8:0:2::1"], {"2001:db8:0:1::", "2001:db8:0:2::"}),
        (["::ffff:1.2.3.4", "1.2.3.4"], {"1.2.3.4"}),
        (["fe80::1%eth0", "fe80::2"], {"fe80::"}),
        (["", "no:address"], {"", "no:address"}),
    ],
)
def test_a_network_of_version_six_is_one_caller(addresses, callers):
    assert {caller_of(address) for address in addresses} == callers


def test_a_new_address_costs_the_same_however_many_there_are(time, monkeypatch):
    limit = RequestLimit(RateLimits())
    for number in range(3000):
        limit.count(f"10.0.{number >> 8}.{number & 255}", "GET", b"/")

    class Watched(dict):
        def __iter__(self):
            raise AssertionError("looked through")

        items = keys = values = __iter__

    limit._callers.current = Watched(limit._callers.current)
    limit.count("192.0.2.1", "GET", b"/")
    time.now += 61
    limit.count("192.0.2.2", "GET", b"/")
