"""What the fuzzer takes for a failure, and that an input is known by its seed and number."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from fuzz import oracle
from fuzz.decoders import ALL, BY_NAME, Decoder
from fuzz.grammars import cbor
from fuzz.source import source
from runtime.protocol.decode_errors import DecodeError


def tried(decode, make=cbor.cbor, numbers=range(50)):
    tally = oracle.Tally()
    for number in numbers:
        oracle.one(Decoder("synthetic", make, decode), 1, number, tally)
    return tally


def raising(error):
    def decode(data):
        raise error

    return decode


@pytest.mark.parametrize("decoder", ALL, ids=lambda one: one.name)
def test_an_input_is_its_seed_and_number(decoder):
    def made(seed):
        return [decoder.make(source(seed, decoder.name, number)) for number in range(20)]

    assert made(1) == made(1) != made(2)


def test_another_process_makes_the_same_inputs():
    code = (
        "from fuzz.decoders import BY_NAME; from fuzz.source import source\n"
        "print([BY_NAME['cbor'].make(source(3, 'cbor', number)) for number in range(9)])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == str([BY_NAME["cbor"].make(source(3, "cbor", number)) for number in range(9)])


def test_refusals_and_values_are_no_failures():
    assert tried(lambda data: data).failures == []
    tally = tried(raising(DecodeError("no")))
    assert (tally.failures, tally.inputs, tally.accepted) == ([], 50, 0)


@pytest.mark.parametrize("error", [ValueError("x"), RecursionError(), KeyError("x"), UnicodeDecodeError("utf-8", b"", 0, 0, "x")])
def test_any_other_exception_is_one_and_each_kind_is_told_once(error):
    (failure,) = tried(raising(error)).failures
    assert failure.kind == f"{type(error).__name__} in decode"
    assert "--decoder synthetic --seed 1 --replay 0" in str(failure)


def test_no_memory_is_one_also_behind_a_refusal():
    def decode(data):
        try:
            raise MemoryError
        except MemoryError as error:
            raise DecodeError("no") from error

    assert [failure.kind for failure in tried(decode).failures] == ["out of memory"]


def test_too_slow_is_one_by_cpu_and_not_by_the_clock():
    def busy(data):
        end = time.thread_time() + 0.003
        while time.thread_time() < end:
            pass

    assert [failure.kind for failure in tried(busy, lambda chance: b"x", range(1)).failures] == ["too slow"]
    assert tried(lambda data: time.sleep(0.003), lambda chance: b"x", range(1)).failures == []


def test_a_failure_is_made_small():
    def decode(data):
        if b"\x07" in data:
            raise KeyError("seven")

    (failure,) = tried(decode, lambda chance: bytes(range(64)), range(1)).failures
    assert failure.data == "07"


def test_the_bounds_grow_with_the_input():
    assert oracle.allowed(0) < oracle.allowed(1000) < oracle.allowed(10**6) == oracle.MOST_SECONDS
