"""Connection parameters: where a WebSocket carries them, and what the declared schema makes of them (CONN-040..046)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from runtime.protocol import jsontext
from runtime.protocol.payload import value_of
from runtime.protocol.storable import check_storable
from runtime.protocol.subprotocols import PARAMS_PREFIX

if TYPE_CHECKING:
    from runtime.actor.connections.sockets import Upgrade
    from runtime.declaration.schema import Validator


def socket_params(upgrade: Upgrade) -> Any:
    """The parameters of a WebSocket: `rivet_conn_params.<percent-encoded JSON>`, absent means None (CONN-040).

    Raises:
        ValueError: They cannot be decoded (CONN-041), or are too deep for a record of the connection.
    """
    text = upgrade.protocol_value(PARAMS_PREFIX)
    if text is None:
        return None
    # Strict: left alone, `unquote` replaces what is no UTF-8 and would make other parameters of it.
    params = value_of(jsontext.loads(unquote(text, errors="strict").encode()))
    # Here, where it is the client's fault and an answer: later it would be a setup that failed, with a line in the log for each.
    check_storable(params)
    return params


def check_params(validator: Validator | None, params: Any) -> Any:
    """Validate against the declared schema, for every kind of connection (CONN-042, CONN-043).

    Raises:
        ActorError: `actor.validation_error`.
    """
    return params if validator is None else validator.check(params, "Invalid connection params")
