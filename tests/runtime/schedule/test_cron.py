"""When recurring schedules run next."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from runtime.actor.schedule.cron import cron_spec, every_spec, next_run


def ms(text, zone="UTC", fold=0):
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp() * 1000)


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("*/15 * * * *", "2026-03-01T10:07", "2026-03-01T10:15"),
        ("*/15 * * * *", "2026-03-01T10:15", "2026-03-01T10:30"),
        ("0 9 * * 1", "2026-03-01T10:00", "2026-03-02T09:00"),
        ("0 0 29 2 *", "2026-03-01T00:00", "2028-02-29T00:00"),
        ("30 23 31 12 *", "2026-12-31T23:30", "2027-12-31T23:30"),
    ],
)
def test_utc(expression, after, expected):
    assert next_run(cron_spec(expression, None), 0, ms(after)) == ms(expected)


def test_a_time_zone():
    spec = cron_spec("0 9 * * *", "America/New_York")
    assert next_run(spec, 0, ms("2026-07-01T12:59")) == ms("2026-07-01T13:00")
    assert next_run(spec, 0, ms("2026-01-01T12:59")) == ms("2026-01-01T14:00")


def test_a_wall_time_that_does_not_exist_is_skipped():
    spec = cron_spec("30 2 * * *", "America/New_York")  # 2026-03-08 jumps from 02:00 to 03:00
    zone = "America/New_York"
    assert next_run(spec, 0, ms("2026-03-07T03:00", zone)) == ms("2026-03-09T02:30", zone)


def test_a_wall_time_that_exists_twice_fires_at_its_first_occurrence_only():
    zone = "America/New_York"
    spec = cron_spec("30 1 * * *", zone)  # 2026-11-01 has 01:30 twice
    first = next_run(spec, 0, ms("2026-10-31T12:00", zone))
    assert first == ms("2026-11-01T01:30", zone, fold=0)
    assert next_run(spec, 0, first) == ms("2026-11-02T01:30", zone)


def test_minutes_go_on_over_both_changes():
    zone = "Europe/Vienna"
    spec = cron_spec("*/30 * * * *", zone)
    moment, seen = ms("2026-03-29T01:00", zone), []
    for _ in range(4):
        moment = next_run(spec, 0, moment)
        seen.append(datetime.fromtimestamp(moment / 1000, ZoneInfo(zone)).strftime("%H:%M"))
    assert seen == ["01:30", "03:00", "03:30", "04:00"]


@pytest.mark.parametrize(("now", "expected"), [(0, 10), (9, 10), (10, 20), (11, 20), (35, 40), (40, 50)])
def test_intervals_stay_anchored(now, expected):
    spec = every_spec(10_000)
    assert next_run(spec, 0, now * 1000) == expected * 1000
