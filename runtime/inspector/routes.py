"""What each route of the inspector's HTTP API does (sections 4 to 11 of the specification)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from runtime.errors import ActorError, make_error, said_by
from runtime.inspector import database_view
from runtime.inspector.request import DEFAULT_LIMIT, ShortError, whole_number
from runtime.inspector.workflow_view import history_json
from runtime.protocol.payload import value_of
from runtime.protocol.values import UNDEFINED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runtime.inspector.actor_view import ActorView
    from runtime.inspector.request import InspectorRequest
    from runtime.workflow.history import History

ACTION = re.compile(r"^/inspector/action/([^/]+)$")


async def _get_state(request: InspectorRequest) -> Any:
    if not request.view.has_state:
        return {"isStateEnabled": False}
    return {"state": request.view.state(), "isStateEnabled": True}


async def _patch_state(request: InspectorRequest) -> Any:
    body = request.object()
    if not request.view.has_state:
        raise make_error("actor.state_not_enabled")
    # By presence and not by value: null, 0 and the empty text are states like others (INSP-034).
    if "state" in body:
        await request.view.replace_state(body["state"])
    return {"ok": True}


async def _get_connections(request: InspectorRequest) -> Any:
    return {"connections": request.view.connections()}


async def _get_rpcs(request: InspectorRequest) -> Any:
    return {"rpcs": request.view.actions()}


async def run_action(request: InspectorRequest) -> Any:
    """POST /inspector/action/{name} (INSP-050..058)."""
    match = ACTION.match(request.path)
    assert match is not None
    body = request.object()
    # By presence: `"args": []` beside `properties` is refused, too (INSP-053).
    if "args" in body and "properties" in body:
        raise ShortError("use either args or properties, not both")
    if "properties" in body:
        if not isinstance(body["properties"], dict):
            raise ShortError("properties must be an object")
        args = [body["properties"]]
    else:
        given = body.get("args", UNDEFINED)
        # One argument need not be wrapped in a list (INSP-051).
        args = [] if given is UNDEFINED else list(given) if isinstance(given, list) else [given]
    try:
        output = await request.view.run_action(unquote(match[1]), [value_of(item) for item in args])
    except ActorError:
        raise
    except Exception as error:
        raise ActorError("actor", "internal_error", said_by(error)) from error
    # Nothing and null are different answers: only an action that returned something has an output.
    return {} if output is UNDEFINED else {"output": output}


async def _get_queue(request: InspectorRequest) -> Any:
    limit = request.limit()
    size, messages = request.view.queued(limit)
    return {
        "size": size,
        "maxSize": request.view.max_queue_size,
        "truncated": size > limit,
        "messages": [{"id": item.id, "name": item.name, "createdAtMs": item.created_at} for item in messages],
    }


async def _post_queue(request: InspectorRequest) -> Any:
    try:
        body = request.object()
    except ActorError:
        # The one route whose text for this is specified (INSP-066); the others give the parser's.
        raise make_error("actor.invalid_request", message="Invalid inspector JSON body") from None
    name = body.get("name")
    stored = await request.view.enqueue(name if isinstance(name, str) else "", value_of(body.get("body")))
    # Text here and a number in the list, as the peer has it (INSP-062, INSP-064).
    return {"id": str(stored.id), "name": stored.name, "createdAtMs": stored.created_at}


async def _delete_queue(request: InspectorRequest) -> Any:
    await request.view.clear_queue()
    return {}


async def _get_traces(_: InspectorRequest) -> Any:
    return {"otlp": [], "clamped": False}


def _workflow(view: ActorView, history: History | None, *, emptied: bool = False) -> dict[str, Any]:
    return {
        "history": history_json(history, emptied=emptied),
        "workflowState": None if history is None else history.outcome.state,
        "isWorkflowEnabled": view.is_workflow,
    }


async def _get_workflow(request: InspectorRequest) -> Any:
    return _workflow(request.view, await request.view.workflow_history())


async def _replay_workflow(request: InspectorRequest) -> Any:
    body = request.json()
    entry = body.get("entryId") if isinstance(body, dict) else body
    # No leniency here: without a target the whole history goes, and nobody has asked for that who says something else (INSP-104).
    if not isinstance(body, dict) or not (entry is None or isinstance(entry, str)):
        raise make_error("actor.invalid_request", message="entryId must be the id of an entry")
    return _workflow(request.view, await request.view.replay_workflow(entry), emptied=True)


async def _get_schema(request: InspectorRequest) -> Any:
    return {"schema": await database_view.schema(request.view)}


async def _get_rows(request: InspectorRequest) -> Any:
    table = request.query.get("table")
    if not table:
        raise ShortError("Missing required table query parameter")
    numbers = {}
    for name, default in (("limit", DEFAULT_LIMIT), ("offset", 0)):
        text = request.query.get(name)
        number = default if text is None else whole_number(text)
        if number is None:
            # What SQLite says of a word where a number must stand, which is how the peer answers.
            raise ActorError("core", "internal_error", "An internal error occurred", {"error": f"no such column: {text}"})
        numbers[name] = number
    return {"rows": await database_view.rows(request.view, table, numbers["limit"], numbers["offset"])}


async def _execute(request: InspectorRequest) -> Any:
    body = request.object()
    sql, args, properties = body.get("sql"), body.get("args"), body.get("properties")
    # Blank SQL is no statement, and SQLite would run it without a word.
    if not isinstance(sql, str) or not sql.strip():
        raise ShortError("sql is required")
    if "args" in body and "properties" in body:
        raise ShortError("use either args or properties, not both")
    listed = args if isinstance(args, list) else None
    named = properties if isinstance(properties, dict) else None
    return {"rows": await database_view.execute(request.view, sql, listed, named)}


async def _get_summary(request: InspectorRequest) -> Any:
    view = request.view
    workflow = _workflow(view, await view.workflow_history())
    return {
        **({"state": view.state()} if view.has_state else {}),
        "connections": view.connections(),
        "rpcs": view.actions(),
        "queueSize": view.queue_size,
        "isStateEnabled": view.has_state,
        "isDatabaseEnabled": True,
        "isWorkflowEnabled": view.is_workflow,
        "workflowState": workflow["workflowState"],
        "workflowHistory": workflow["history"],
    }


ROUTES: dict[tuple[str, str], Callable[[InspectorRequest], Awaitable[Any]]] = {
    ("GET", "state"): _get_state,
    ("PATCH", "state"): _patch_state,
    ("GET", "connections"): _get_connections,
    ("GET", "rpcs"): _get_rpcs,
    ("GET", "queue"): _get_queue,
    ("POST", "queue"): _post_queue,
    ("DELETE", "queue"): _delete_queue,
    ("GET", "traces"): _get_traces,
    ("GET", "workflow-history"): _get_workflow,
    ("POST", "workflow/replay"): _replay_workflow,
    ("GET", "database/schema"): _get_schema,
    ("GET", "database/rows"): _get_rows,
    ("POST", "database/execute"): _execute,
    ("GET", "summary"): _get_summary,
}
