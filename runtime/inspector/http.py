"""The inspector's HTTP API: who may ask, which route answers, how errors look (section 3 of the specification).

Errors are not masked here (INSP-006): who has the token may know what went wrong inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.errors import ActorError, make_error, said_by
from runtime.inspector.assets import asset, is_public
from runtime.inspector.render import render
from runtime.inspector.request import ShortError
from runtime.inspector.routes import ACTION, ROUTES, run_action
from runtime.inspector.token import header_token
from runtime.protocol.payload import text_of
from runtime.protocol.values import UNDEFINED
from runtime.replies import Reply, json_reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runtime.inspector.request import InspectorRequest


async def answer_http(request: InspectorRequest) -> Reply:
    """Answer one inspector request; never raises for what a caller can do wrong."""
    try:
        # Before the token, and the only thing that is.
        if is_public(request.method, request.path):
            return await asset(request.view.tabs, request.path)
        if not await request.view.is_open_to(header_token(request.authorization)):
            raise make_error("inspector.unauthorized")
        # After the token: who has none learns not even which routes exist (INSP-008, INSP-013).
        handler = _find(request)
        if handler is None:
            raise make_error("actor.not_found", message="Inspector route was not found", metadata=None)
        return json_reply(render(await handler(request)))
    except ShortError as error:
        return json_reply({"error": str(error)}, 400)
    except ActorError as error:
        return _failure(error)
    # A body, value or number that no value, statement or row can hold: the caller's mistake, who is told.
    except (TypeError, ValueError) as error:
        return _failure(ActorError("actor", "internal_error", text_of(said_by(error))))
    except Exception as error:
        request.view.log.warning("inspector request failed", path=request.path, exc_info=error)
        # The text and not a mask: who holds the token may know what went wrong (INSP-006).
        return _failure(ActorError("actor", "internal_error", text_of(said_by(error))))


def _failure(error: ActorError) -> Reply:
    metadata = None if error.metadata is UNDEFINED else error.metadata
    body = {"group": error.group, "code": error.code, "message": error.message, "metadata": render(metadata)}
    # 500 is also the status of errors without one of their own; when such an error is meant for clients it is their mistake.
    status = error.status if error.status != 500 or not error.public else 400
    return json_reply(body, status)


def _find(request: InspectorRequest) -> Callable[[InspectorRequest], Awaitable[Any]] | None:
    if request.method == "POST" and ACTION.match(request.path):
        return run_action
    return ROUTES.get((request.method, request.path.removeprefix("/inspector/")))
