import json
import re
import string
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
import typer
from typer.testing import CliRunner

from runtime.errors import (
    MASKED_MESSAGE,
    ActorError,
    UserError,
    forbidden,
    from_wire_error,
    gateway_status,
    http_status,
    make_error,
    to_wire,
)
from runtime.errors import export as errors_export
from runtime.errors.catalogue import ACTOR_STATUS, CATALOGUE, GATEWAY_STATUS, PUBLIC
from runtime.protocol.messages import ActorSpecifier
from runtime.protocol.values import UNDEFINED

ROOT = Path(__file__).parents[3]
ARTIFACTS = ROOT / "docs" / "errors"
ACTOR = ActorSpecifier("id", 3, "k")


def cli(*args):
    app = typer.Typer()
    app.command()(errors_export.main)
    return CliRunner().invoke(app, list(args))


def test_artifacts_are_up_to_date():
    assert errors_export.differences(ARTIFACTS) == []


@pytest.mark.parametrize("path", sorted(ARTIFACTS.glob("*.*.json")), ids=lambda path: path.stem)
def test_artifact_fits_its_schema(path):
    schema = json.loads((ARTIFACTS / "schema.json").read_text())
    value = json.loads(path.read_text())
    jsonschema.Draft202012Validator(schema).validate(value)
    assert f"{value['group']}.{value['code']}" == path.stem


def test_export_tells_every_kind_of_difference(tmp_path):
    errors_export.write(tmp_path)
    assert cli("--check", str(tmp_path)).exit_code == 0
    (tmp_path / "actor.starting.json").unlink()
    (tmp_path / "actor.gone.json").write_text("{}")
    stale = tmp_path / "queue.full.json"
    stale.write_text(stale.read_text().replace("Queue is full", "Queue was full"))
    result = cli("--check", str(tmp_path))
    assert result.exit_code == 1
    assert result.output.splitlines()[:3] == [
        "missing: actor.starting.json",
        "not in the catalogue: actor.gone.json",
        "out of date: queue.full.json",
    ]
    assert cli(str(tmp_path)).exit_code == 0
    assert errors_export.differences(tmp_path) == []


@pytest.mark.parametrize("spec", CATALOGUE.values(), ids=lambda spec: spec.name)
def test_entry_is_sound(spec):
    fields = {name for _, name, _, _ in string.Formatter().parse(spec.message) if name}
    assert re.fullmatch(r"[a-z_]+\.[a-z0-9_]+", spec.name)
    assert all(re.fullmatch(r"[A-Z]+-[0-9]{3}", requirement) for requirement in spec.requirements)
    assert spec.requirements
    error = make_error(spec.name, **dict.fromkeys(fields | set(spec.metadata), "7"))
    assert "{" not in error.message
    assert (error.group, error.code) == (spec.group, spec.code)
    assert error.metadata == (dict.fromkeys(spec.metadata, "7") if spec.metadata else UNDEFINED)


def test_tables_name_only_errors_of_the_catalogue():
    assert {*ACTOR_STATUS, *GATEWAY_STATUS, *PUBLIC} <= CATALOGUE.keys()


def test_errors_raised_in_the_code_are_in_the_catalogue():
    used = {
        name
        for package in ("runtime", "client")
        for path in (ROOT / package).rglob("*.py")
        for name in re.findall(r'make_error\(\s*"([^"]+)"', path.read_text(encoding="utf-8"))
    }
    assert "actor.overloaded" in used
    assert used <= CATALOGUE.keys()


def test_make_error_fills_text_and_metadata():
    error = make_error("actor.overloaded", channel="dispatch_inbox", operation="dispatch_action", capacity=1024)
    assert error.message == "Actor channel 'dispatch_inbox' is overloaded while attempting to dispatch_action (capacity 1024)."
    assert error.metadata == {"channel": "dispatch_inbox", "operation": "dispatch_action", "capacity": 1024}
    assert str(error) == f"actor.overloaded: {error.message}"
    assert make_error("actor.not_found").metadata is UNDEFINED
    assert make_error("validation.invalid_input", message="No.").metadata == {"message": "No."}
    assert make_error("actor.not_found", message="gone", metadata={"x": 1}, actor=ACTOR).actor is ACTOR
    with pytest.raises(KeyError):
        make_error("actor.no_such_thing")


def test_public_errors_keep_their_text():
    for error in (
        UserError("denied", "no", {"why": 1}),
        ActorError("kv", "anything", "text", {"a": 1}),
        make_error("schedule.invalid_delay", delay_ms=-1),
        make_error("queue.full", limit=3),
        make_error("actor.aborted"),
        forbidden(),
    ):
        wire = to_wire(error, ACTOR)
        assert (wire.group, wire.code, wire.message, wire.metadata, wire.actor) == (
            error.group,
            error.code,
            error.message,
            error.metadata,
            ACTOR,
        )


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_masking_follows_group_and_code(name):
    spec = CATALOGUE[name]
    wire = to_wire(ActorError(spec.group, spec.code, "secret", {"secret": 1}, public=True, status=418))
    assert (wire.group, wire.code) == (spec.group, spec.code)
    assert (wire.message, wire.metadata) == ((MASKED_MESSAGE, UNDEFINED) if spec.masked else ("secret", {"secret": 1}))


def test_user_flag_public_does_not_unmask():
    wire = to_wire(ActorError("mygroup", "mycode", "secret", {"a": 1}, public=True))
    assert (wire.group, wire.code, wire.message, wire.metadata) == ("mygroup", "mycode", MASKED_MESSAGE, UNDEFINED)


def test_overload_reaches_callers_with_its_metadata():
    error = make_error("actor.overloaded", channel="dispatch_inbox", operation="dispatch_queue_send", capacity=2)
    assert to_wire(error).metadata == error.metadata
    assert to_wire(error).message == error.message


@pytest.mark.parametrize("error", [ValueError("secret"), KeyboardInterrupt(), RuntimeError()])
def test_plain_exceptions_are_internal_errors(error):
    wire = to_wire(error, ACTOR)
    assert (wire.group, wire.code, wire.message, wire.metadata, wire.actor) == (
        "rivetkit",
        "internal_error",
        MASKED_MESSAGE,
        UNDEFINED,
        ACTOR,
    )


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("auth.forbidden", 403),
        ("actor.action_not_found", 404),
        ("actor.not_found", 404),
        ("actor.method_not_allowed", 405),
        ("actor.action_timed_out", 408),
        ("actor.invalid_request", 400),
        ("message.incoming_too_long", 400),
        ("message.outgoing_too_long", 400),
        ("queue.full", 400),
        ("queue.completion_waiter_dropped", 400),
        ("kv.key_too_large", 500),
        ("schedule.invalid_name", 500),
        ("actor.overloaded", 500),
        ("rivetkit.internal_error", 500),
    ],
)
def test_actor_made_status(name, status):
    assert http_status(make_error(name)) == status == CATALOGUE[name].actor_status


def test_user_errors_are_500_whatever_they_ask_for():
    assert http_status(UserError("no", status=404)) == 500
    assert http_status(ValueError()) == 500


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("actor.not_found", 404),
        ("api.unauthorized", 401),
        ("guard.rate_limit", 429),
        ("guard.invalid_request_body", 413),
        ("guard.retry_attempts_exceeded", 502),
        ("guard.actor_ready_timeout", 503),
        ("guard.request_timeout", 504),
        ("guard.actor_wake_retries_exceeded", 400),
        ("guard.query_missing_pool", 400),
        ("actor.destroyed_while_waiting_for_ready", 400),
        ("core.internal_error", 500),
        ("envoy.fetch_failed", 500),
    ],
)
def test_gateway_made_status(name, status):
    assert gateway_status(make_error(name)) == status == CATALOGUE[name].gateway_status


def test_unstructured_gateway_fault_is_500():
    assert gateway_status(RuntimeError()) == 500


def test_a_received_error_is_raised_as_it_came():
    wire = replace(to_wire(UserError("no", "denied", {"a": 1})), actor=ACTOR)
    error = from_wire_error(wire, 403)
    assert (error.name, error.message, error.metadata, error.status, error.actor) == ("user.denied", "no", {"a": 1}, 403, ACTOR)
    assert to_wire(error) == wire
