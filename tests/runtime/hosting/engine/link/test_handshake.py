"""Addresses, farewells, waits between attempts and the age of pings."""

from __future__ import annotations

import pytest

from runtime.hosting.engine.link.backoff import Backoff
from runtime.hosting.engine.link.handshake import Address, Farewell
from runtime.hosting.engine.link.ping_age import PingAge


def test_an_address_is_quoted_and_https_becomes_wss():
    address = Address("https://engine:1/", "a b", "p&q", "key", 3)
    assert address.uri == "wss://engine:1/envoys/connect?protocol_version=6&namespace=a%20b&envoy_key=key&version=3&pool_name=p%26q"
    assert address.protocols == ["rivet"]


def test_a_token_is_offered_and_not_shown():
    address = Address("http://engine", "n", "p", "key", token="secret")
    assert address.protocols == ["rivet", "rivet_token.secret"]
    assert "secret" not in repr(address)


@pytest.mark.parametrize("wrong", [{"url": "ws://x"}, {"envoy_key": "ab"}, {"envoy_key": "-abc"}, {"envoy_key": "a.b"}, {"version": -1}])
def test_what_the_engine_would_refuse_is_not_tried(wrong):
    with pytest.raises(ValueError):
        Address(**{"url": "http://x", "namespace": "n", "pool": "p", "envoy_key": "abc", **wrong})


def test_a_farewell_is_cut_at_its_ray():
    assert Farewell(1011, "namespace.not_found#abc").name == "namespace.not_found"
    assert str(Farewell(1011, "ws.timed_out#abc")) == "ws.timed_out (1011)"
    assert str(Farewell(1006, "")) == "no reason (1006)"
    assert str(Farewell(None, "refused")) == "refused"


def test_only_one_farewell_is_an_eviction():
    assert Farewell(1000, "ws.eviction#abc").evicted
    assert not Farewell(1011, "ws.eviction#abc").evicted
    assert not Farewell(1000, "ws.going_away#abc").evicted


def test_waits_grow_to_half_a_minute():
    backoff = Backoff()
    assert [backoff.next(None, 0.0) for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    assert backoff.next(None, 1.0) == 37.5


def test_waits_end_long_before_actors_are_lost():
    backoff = Backoff()
    assert [backoff.next(15.0, 0.0) for _ in range(4)] == [1, 2, 3.75, 3.75]


def test_a_connection_that_held_forgives_failed_attempts():
    backoff = Backoff()
    backoff.next(None, 0.0)
    for init_at, now in ((None, 100.0), (100.0, 104.9)):
        backoff.ended(init_at, now)
        assert backoff.next(None, 0.0) > 1
    backoff.ended(100.0, 105.0)
    assert backoff.next(None, 0.0) == 1


def test_pings_that_waited_in_the_socket_are_old():
    pings = PingAge(100.0)
    assert pings.heard(5_000_000, 100.1) == 0.0
    # The process stood still from 101 to 110.
    assert pings.heard(5_003_000, 110.0) == pytest.approx(6.9)
    assert pings.alive_at == pytest.approx(103.1)
    assert pings.heard(5_009_900, 110.0) == pytest.approx(0.0)
    assert pings.alive_at == pytest.approx(110.0)


def test_a_quicker_ping_corrects_the_clock():
    pings = PingAge(0.0)
    pings.heard(0, 0.5)
    pings.heard(3000, 3.1)
    assert pings.heard(6000, 6.5) == pytest.approx(0.4)
