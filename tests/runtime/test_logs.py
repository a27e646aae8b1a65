import asyncio
import io
from types import SimpleNamespace

from structlog.testing import capture_logs

from runtime.errors import make_error
from runtime.logs import (
    FAULTS,
    MAX_SHOWN,
    MAX_TEXTS,
    Allowance,
    LimitedLog,
    LimitedLogger,
    _StandardError,
    actor_logger,
    debugging,
    error_fields,
    shown,
    unlimited,
)
from tests.runtime.parts import Log, virtual


def test_records_of_an_actor_say_whose_they_are():
    with capture_logs() as records:
        actor_logger(SimpleNamespace(actor_id="id", name="counter", key=("a", "b"), generation=3)).warning("text")
    assert records == [{"event": "text", "log_level": "warning", "actor_id": "id", "actor": "counter", "key": "a/b", "generation": 3}]


def test_an_actor_without_a_key_has_records_too():
    with capture_logs() as records:
        actor_logger(SimpleNamespace(actor_id="id", name="counter", key=None, generation=1)).warning("text")
    assert isinstance(records[0]["key"], str)
    assert debugging(SimpleNamespace(is_enabled_for=lambda level: level > 10)) is False


def test_errors_are_noted_in_full():
    silent = ValueError()
    assert error_fields(silent) == {"error": "ValueError", "exc_info": silent}
    known = make_error("actor.overloaded", channel="dispatch_inbox", operation="x", capacity=1)
    assert error_fields(known)["code"] == "overloaded"
    assert error_fields(known)["metadata"]["capacity"] == 1


@virtual
async def test_three_in_half_a_minute_and_the_next_says_how_many_were_left_out():
    log = Log()
    limited = LimitedLog(log, "refused")
    for _ in range(5):
        limited.report(state="x")
    assert [fields["suppressed"] for _, _, fields in log.records] == [0, 0, 0]
    await asyncio.sleep(31)
    limited.report(state="x")
    assert log.records[-1] == ("warning", "refused", {"state": "x", "suppressed": 2})


@virtual
async def test_what_all_actors_share_limits_each():
    log, process = Log(), Allowance()
    for _ in range(5):
        LimitedLog(log, "refused", process).report()
    assert len(log.records) == 3
    assert process.suppressed == 2


def test_a_record_is_written_whatever_standard_error_can_hold(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stderr", io.TextIOWrapper(raw, "ascii", errors="strict", write_through=True))
    _StandardError().write("caf\udce9 caf\u00e9")
    assert raw.getvalue() == b"caf\\udce9 caf\\xe9"


@virtual
async def test_what_strangers_bring_about_is_limited_text_by_text_and_an_actors_own_records_are_not():
    log = Log()
    limited = LimitedLogger(log)
    for _ in range(30):
        limited.error("call failed", call="x")
        limited.warning("other")
        unlimited(limited).warning("mine")
    texts = [text for _, text, _ in log.records]
    assert (texts.count("call failed"), texts.count("other"), texts.count("mine")) == (FAULTS, FAULTS, 30)
    await asyncio.sleep(31)
    limited.error("call failed", call="x")
    assert log.records[-1] == ("error", "call failed", {"call": "x", "suppressed": 20})
    limited.error("call failed", call="y")
    assert log.records[-1][2] == {"call": "y"}
    assert unlimited(log) is log


@virtual
async def test_texts_without_number_share_one_allowance():
    log = Log()
    limited = LimitedLogger(log)
    for number in range(1000):
        limited.error(f"text {number}")
    assert len(log.records) == MAX_TEXTS + FAULTS
    assert len(limited._allowances) == MAX_TEXTS + 1


def test_threads_have_records_too():
    log = Log()
    LimitedLogger(log).error("from a thread")
    assert len(log.records) == 1


def test_little_is_shown_of_what_a_stranger_sent():
    assert (shown(b"/a"), shown("é")) == ("/a", "é")
    assert shown(b"\xff" * 5000) == "\xff" * MAX_SHOWN + "... (5000 characters)"
