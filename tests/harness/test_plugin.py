"""The plug-in end to end: a small corpus in a real worker against a small target."""

from __future__ import annotations

import asyncio
import json

import jsonschema
import pytest

from harness.events import stream
from harness.events.schema import SCHEMA
from harness.run import runner
from harness.targets import TargetOptions
from tests.harness.sample import PLAIN, only, request, run, verdicts, write_corpus

TEST = '''
@requirement("TASK-001")
async def test_it({fixtures}):
    """It."""
    {body}
'''


@pytest.fixture
def corpus(tmp_path):
    return tmp_path / "corpus"


def single(corpus, body: str, fixtures: str = "conform", **options):
    return only(run(write_corpus(corpus, alpha=TEST.format(body=body, fixtures=fixtures)), **options))


def test_ids_are_suite_test_encoding_and_storage(corpus):
    source = (
        PLAIN
        + '''
@requirement("TASK-003")
@encodings("bare", "json")
@pytest.mark.parametrize("size", [1, 2])
async def test_sized(size):
    """Sized."""

class TestGroup:
    @requirement("TASK-004")
    async def test_inner(self):
        """Inner."""
'''
    )
    report = run(write_corpus(corpus, alpha=source), encodings=("json", "cbor"), storages=("memory", "disk"))
    assert set(verdicts(report)) == {
        *(
            f"alpha::test_{name}[{encoding}-{storage}]"
            for name in ("one", "two")
            for encoding in ("json", "cbor")
            for storage in ("memory", "disk")
        ),
        *(f"alpha::TestGroup::test_inner[{encoding}-{storage}]" for encoding in ("json", "cbor") for storage in ("memory", "disk")),
        *(f"alpha::test_sized({size})[json-{storage}]" for size in (1, 2) for storage in ("memory", "disk")),
    }
    assert set(verdicts(report).values()) == {"pass"}
    assert report.status == 0


def test_virtual_time_and_real_time_give_the_same_verdicts(corpus):
    write_corpus(corpus, alpha=PLAIN, beta_timing=PLAIN)
    virtual = verdicts(run(corpus, time="virtual"))
    assert virtual == verdicts(run(corpus, time="real"))
    assert len(virtual) == 4


@pytest.mark.parametrize(
    ("body", "verdict", "message"),
    [
        ("assert conform.encoding == 'cbor'", "fail", "assert 'json' == 'cbor'"),
        ("raise RuntimeError('boom')", "fail", "RuntimeError: boom"),
        ("raise HarnessError('my own fault')", "error", "HarnessError: my own fault"),
        ("inconclusive('could not tell')", "inconclusive", "could not tell"),
        ("pytest.skip('no reason')", "skip", "no reason"),
    ],
)
def test_verdicts(corpus, body, verdict, message):
    result = single(corpus, body)
    assert (result.verdict, result.message) == (verdict, message)
    assert result.requirements == ("TASK-001",)
    assert result.doc == "It."


def test_a_missing_capability_is_a_skip_and_a_declared_one_runs(corpus):
    source = '''
@requirement("TASK-001")
@capability("close_ack")
async def test_undeclared():
    """Undeclared."""
    raise AssertionError

@requirement("TASK-001")
@capability("overload")
async def test_declared(conform):
    """Declared."""
    assert conform.has("overload") and not conform.has("close_ack")
'''
    report = run(write_corpus(corpus, alpha=source))
    assert verdicts(report) == {"alpha::test_undeclared[json-memory]": "skip", "alpha::test_declared[json-memory]": "pass"}
    assert "close_ack" in next(one.message for one in report.results if one.verdict == "skip")


def test_a_test_without_requirement_or_docstring_is_a_harness_error(corpus):
    source = '''
async def test_no_requirement():
    """Says something."""

@requirement("TASK-001")
async def test_no_docstring():
    pass
'''
    report = run(write_corpus(corpus, alpha=source))
    assert set(verdicts(report).values()) == {"error"}
    assert {one.message.partition("] ")[2].partition(";")[0] for one in report.results} == {"names no requirement", "has no docstring"}


def test_a_missed_window_is_inconclusive_and_a_hit_one_is_recorded(corpus):
    result = single(corpus, "witness.hit('asleep', False); witness.hit('asleep', False)", "witness")
    assert (result.verdict, result.message) == ("inconclusive", "the test never hit: asleep (0 of 2)")
    result = single(corpus, "witness.hit('asleep', False); witness.hit('asleep')", "witness")
    assert (result.verdict, result.witnesses) == ("pass", {"asleep": [1, 2]})


def test_a_missed_window_does_not_hide_a_failure(corpus):
    assert single(corpus, "witness.hit('asleep', False); assert not 'failed'", "witness").verdict == "fail"


def test_a_hanging_test_times_out_and_the_next_one_runs(corpus):
    source = '''
@requirement("TASK-001")
@pytest.mark.timeout(0.5)
async def test_a_hangs():
    """Hangs."""
    while True:
        await asyncio.sleep(100)

@requirement("TASK-001")
async def test_b_runs(conform):
    """Runs."""
    assert (await conform.http.get("/count")).text == "1"
'''
    report = run(write_corpus(corpus, alpha=source))
    assert verdicts(report) == {"alpha::test_a_hangs[json-memory]": "fail", "alpha::test_b_runs[json-memory]": "pass"}
    assert "timed out after 0.5 s of virtual time" in report.results[0].message
    assert report.results[0].seconds < 0.4
    assert "await asyncio.sleep(100)" in report.results[0].detail, "where it waited must be shown"


def test_a_test_that_never_waits_is_ended_in_real_time(corpus):
    source = '''
@requirement("TASK-001")
@pytest.mark.timeout(0.5)
async def test_spins():
    """Spins."""
    while True:
        await asyncio.sleep(0)
'''
    for time in ("virtual", "real"):
        result = only(run(write_corpus(corpus, alpha=source), time=time))
        assert result.verdict == "fail"
        # On a machine that is busy real time may be over before the virtual loop has turned often enough.
        assert result.message in {f"TimedOut: timed out after 0.5 s of {one} time" for one in ("real", time)}


def test_a_test_that_blocks_the_loop_ends_the_worker_with_the_stacks_shown(corpus):
    source = (
        PLAIN
        + '''
import time
import harness.session.guard
harness.session.guard.PATIENCE = 0.3

@requirement("TASK-001")
@pytest.mark.timeout(0.3)
async def test_zzz_blocks():
    """Blocks."""
    time.sleep(60)
'''
    )
    report = run(write_corpus(corpus, alpha=source))
    assert report.status == 2
    assert "in alpha::test_zzz_blocks[json-memory]" in report.problems[0]
    assert "time.sleep(60)" in report.problems[0]
    assert [str(one.verdict) for one in report.results] == ["pass", "pass", "error"]


def test_a_deadlock_in_virtual_time_is_reported_as_such(corpus):
    result = single(corpus, "asyncio.get_running_loop().stall = 0.2; await asyncio.to_thread(__import__('time').sleep, 1)", "clock")
    assert result.verdict == "fail"
    assert "virtual time is stuck" in result.message


def test_all_tests_share_one_target_and_keys_are_unique(corpus):
    source = '''
seen = set()

@requirement("TASK-001")
@pytest.mark.parametrize("number", range(5))
async def test_shared(conform, number):
    """Shared."""
    assert (await conform.http.get("/count")).text == str(number + 1)
    for key in (conform.key, conform.unique_key(), conform.unique_key("x")):
        assert tuple(key) not in seen
        seen.add(tuple(key))
'''
    assert set(verdicts(run(write_corpus(corpus, alpha=source))).values()) == {"pass"}


def test_reruns_happen_on_request_only_and_a_pass_is_then_flaky(corpus):
    source = '''
tries = itertools.count(1)

@requirement("TASK-001")
async def test_third_time():
    """Passes the third time."""
    assert next(tries) == 3, "not yet"
'''
    write_corpus(corpus, alpha=source)
    assert only(run(corpus)).verdict == "fail"
    report = run(corpus, reruns=2)
    result = only(report)
    assert (result.verdict, result.attempts, report.status) == ("flaky", 3, 1)
    assert "passed after 2 failed attempt(s)" in result.message
    assert only(run(corpus, reruns=1)).verdict == "fail"


def test_lanes_split_the_corpus_without_loss(corpus):
    write_corpus(corpus, alpha=PLAIN, beta_timing=PLAIN, gamma=PLAIN)
    for time in ("virtual", "real"):
        report = run(corpus, jobs=3, time=time, encodings=("json", "cbor", "bare"))
        assert len(verdicts(report)) == len(report.results) == 18


def test_suites_lanes_and_keywords_select(corpus):
    write_corpus(corpus, alpha=PLAIN, beta=PLAIN, gamma_timing=PLAIN)
    assert set(verdicts(run(corpus, lane="timing", jobs=2))) == {
        "gamma-timing::test_one[json-memory]",
        "gamma-timing::test_two[json-memory]",
    }
    assert len(verdicts(run(corpus, lane="parallel", jobs=2))) == len(verdicts(run(corpus, lane="parallel"))) == 4
    assert set(verdicts(run(corpus, suites=("beta",), keyword="one"))) == {"beta::test_one[json-memory]"}
    assert run(corpus, suites=("delta",)).status == 2
    assert "no such suite: delta" in run(corpus, suites=("delta",)).problems[0]


def test_a_dying_worker_loses_no_test(corpus):
    source = (
        PLAIN
        + '''
@requirement("TASK-001")
async def test_zzz_dies():
    """Dies."""
    import os
    os._exit(7)

@requirement("TASK-001")
async def test_zzzz_after():
    """After."""
'''
    )
    report = run(write_corpus(corpus, alpha=source))
    assert report.status == 2
    assert "status 7 in alpha::test_zzz_dies[json-memory]" in report.problems[0]
    assert [str(one.verdict) for one in report.results] == ["pass", "pass", "error", "pass"]
    assert report.results[2].message == "the worker ended with status 7 in this test"


def test_a_target_that_does_not_start_ends_the_run_with_one_problem(corpus):
    write_corpus(corpus, alpha=PLAIN.replace("(clock)", "(conform, clock)"))
    report = run(corpus, target=_broken())
    assert report.problems[0] == "target broken: RuntimeError: out of order"
    assert report.status == 2
    assert [str(one.verdict) for one in report.results] == ["error", "not-run"]
    assert report.results[0].blame == "adapter"


def _broken():
    return TargetOptions(spec="tests.harness.test_plugin:BrokenTarget")


class BrokenTarget:
    name, capabilities, profile, time_modes, storages, time_scale = "broken", frozenset(), "seed", ("virtual",), ("memory",), 1.0

    async def start(self, storage):
        raise RuntimeError("out of order")

    async def stop(self):
        pass


def test_a_stale_handle_is_a_harness_error(corpus):
    source = '''
from harness.testing.handles import Address

class Handle:
    async def resolve(self):
        return "id-1"

@requirement("SLEEP-001")
async def test_stale(conform, boundary, clock):
    """Uses a handle across a boundary."""
    first = conform.handles.track(Handle(), Address("counter", ("k",)))
    by_id = conform.handles.track(Handle(), Address("counter", actor_id="id-1"))
    other = conform.handles.track(Handle(), Address("counter", ("other",)))
    before = clock.monotonic()
    assert await boundary.sleep(first, via="api") == "id-1"
    assert clock.monotonic() - before >= 1
    assert await other.resolve() == "id-1"
    for stale in (first, by_id):
        with pytest.raises(HarnessError, match="used after boundary.sleep; reacquire it by key"):
            await stale.resolve()
    fresh = conform.handles.track(Handle(), Address("counter", ("k",)))
    await boundary.destroy(fresh, via="api")
    await fresh.resolve()
'''
    result = only(run(write_corpus(corpus, alpha=source)))
    assert result.verdict == "error"
    assert "handle of counter used after boundary.destroy" in result.message


def test_events_follow_the_schema(corpus, tmp_path):
    raw: list[dict] = []
    source = PLAIN + TEST.format(body="assert 0", fixtures="")
    report = asyncio.run(runner.run(request(write_corpus(corpus, alpha=source)), raw.append))
    path = tmp_path / "events.ndjson"
    stream.write(path, report)
    schema = json.loads(SCHEMA.read_text())
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert {event["event"] for event in raw} == {"session", "collected", "started", "result", "end"}
    for event in [*raw, *events]:
        jsonschema.validate(event, schema)
    assert [event["event"] for event in events] == ["session", "result", "result", "result", "end"]
    assert events[-1]["verdicts"] == {"pass": 2, "fail": 1}
