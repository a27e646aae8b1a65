"""The error catalogue, masking and statuses."""

from __future__ import annotations

import pytest

from runtime.error_catalogue import CATALOGUE, PUBLIC
from runtime.errors import MASKED_MESSAGE, ActorError, UserError, gateway_status, http_status, make_error, to_wire
from runtime.errors_export import DIRECTORY, differences
from runtime.protocol.messages import ActorSpecifier
from runtime.protocol.values import UNDEFINED

ACTOR = ActorSpecifier("id", 1, "k")


def test_artifacts_are_up_to_date() -> None:
    """Run `python -m runtime.errors_export` when this fails."""
    assert differences(DIRECTORY) == []


def test_outdated_missing_and_left_over_artifacts_are_found(tmp_path) -> None:
    """The check sees every kind of difference."""
    for path in DIRECTORY.glob("*.json"):
        (tmp_path / path.name).write_text(path.read_text())
    (tmp_path / "actor.overloaded.json").write_text("{}\n")
    (tmp_path / "auth.forbidden.json").unlink()
    (tmp_path / "no.such.json").write_text("{}\n")
    assert differences(tmp_path) == ["missing: auth.forbidden.json", "left over: no.such.json", "outdated: actor.overloaded.json"]


def test_every_public_name_is_in_the_catalogue() -> None:
    """No rule names an error that does not exist."""
    assert set(CATALOGUE) >= PUBLIC


def test_message_and_metadata_are_filled_in() -> None:
    """Placeholders and metadata members come from the fields (TASK-003)."""
    error = make_error("actor.overloaded", channel="dispatch_inbox", operation="dispatch_action", capacity=4)
    assert error.message == "Actor channel 'dispatch_inbox' is overloaded while attempting to dispatch_action (capacity 4)."
    assert error.metadata == {"channel": "dispatch_inbox", "operation": "dispatch_action", "capacity": 4}


def test_unknown_errors_are_refused() -> None:
    """A typo in a name does not go unnoticed."""
    with pytest.raises(KeyError):
        make_error("actor.no_such_error")


@pytest.mark.parametrize(
    ("error", "name", "message", "metadata"),
    [
        (UserError("m", "c", {"a": 1}), "user.c", "m", {"a": 1}),
        (UserError("m"), "user.user_error", "m", UNDEFINED),
        (RuntimeError("secret"), "rivetkit.internal_error", MASKED_MESSAGE, UNDEFINED),
        (ActorError("mygroup", "mycode", "secret", {"a": 1}, public=True), "mygroup.mycode", MASKED_MESSAGE, UNDEFINED),
        (make_error("queue.full", limit=3), "queue.full", "Queue is full. Limit is 3 messages.", {"limit": 3}),
        (make_error("actor.stopping"), "actor.stopping", MASKED_MESSAGE, UNDEFINED),
    ],
    ids=["user", "user-default", "exception", "structured", "queue", "lifecycle"],
)
def test_masking(error: Exception, name: str, message: str, metadata: object) -> None:
    """Public errors keep message and metadata, others only group and code (WIRE-832, WIRE-833)."""
    wire = to_wire(error, ACTOR)
    assert (f"{wire.group}.{wire.code}", wire.message, wire.metadata, wire.actor) == (name, message, metadata, ACTOR)


def test_overload_keeps_its_metadata() -> None:
    """Retries of queue sends key on it (WIRE-841)."""
    wire = to_wire(make_error("actor.overloaded", channel="dispatch_inbox", operation="dispatch_queue_send", capacity=1))
    assert wire.metadata == {"channel": "dispatch_inbox", "operation": "dispatch_queue_send", "capacity": 1}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (make_error("auth.forbidden"), 403),
        (make_error("actor.action_not_found", name="x"), 404),
        (make_error("actor.method_not_allowed"), 405),
        (make_error("actor.action_timed_out"), 408),
        (make_error("queue.timed_out", timeout_ms=1), 400),
        (UserError("x", status=418), 500),
        (ValueError("x"), 500),
        (make_error("schedule.max_schedules_exceeded", maximum=1), 500),
    ],
    ids=lambda value: str(value)[:40],
)
def test_statuses_of_actor_errors(error: Exception, status: int) -> None:
    """The status depends on group and code only (WIRE-831)."""
    assert http_status(error) == status


def test_statuses_of_gateway_errors() -> None:
    """Gateway errors have a table of their own (WIRE-836)."""
    assert gateway_status(make_error("guard.actor_ready_timeout")) == 503
    assert gateway_status(make_error("guard.query_missing_pool")) == 400
    assert gateway_status(make_error("core.internal_error")) == 500
    assert gateway_status(RuntimeError("x")) == 500
