"""Where a request or a socket for a query goes: the URL together with what travels beside it (WIRE-905, WIRE-913)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from client.header_text import ascii_json, checked_value
from client.query import params_header
from client.transport import USER_AGENT
from runtime.protocol import subprotocols

if TYPE_CHECKING:
    from client.config import ClientConfig
    from client.query import ActorQuery


def request_headers(config: ClientConfig, params: Any) -> dict[str, str]:
    """The headers of every gateway request (WIRE-904)."""
    # In this order: headers of the user may replace the user agent, but not say of the body that it is in another encoding than it is.
    headers = {"user-agent": USER_AGENT, **config.headers, "x-rivet-encoding": str(config.encoding)}
    if config.token is not None:
        headers["x-rivet-token"] = config.token
    text = params_header(params)
    if text is not None:
        headers["x-rivet-conn-params"] = ascii_json(text)
    return headers


def request_address(
    query: ActorQuery, config: ClientConfig, path: str, *, actor_id: str | None, skip_ready_wait: bool
) -> tuple[str, dict[str, str]]:
    """URL and routing headers of an HTTP request.

    Args:
        query: The actor.
        config: Where the gateway is.
        path: What the actor sees.
        actor_id: A resolved id; None goes through the query.
        skip_ready_wait: Reach the actor even when it is not ready.

    Raises:
        ConfigurationError: The creation input is too large for a query (WIRE-906), or the id cannot stand in a header (WIRE-908).
    """
    if not skip_ready_wait:
        return query.url(config, path, actor_id=actor_id), {}
    headers = {"x-rivet-skip-ready-wait": "1"}
    # A key can't be routed by header: who has it, only the gateway knows, and it reads keys from the URL.
    if query.actor_id is None:
        return query.url(config, path, skip_ready_wait=True), headers
    headers |= {"x-rivet-target": "actor", "x-rivet-actor": checked_value("the actor id", query.actor_id)}
    # Only raw requests can be routed by header (WIRE-241).
    routed = path.partition("?")[0]
    if routed == "/request" or routed.startswith("/request/"):
        return config.endpoint + path, headers
    return query.url(config, path), headers


def socket_address(
    query: ActorQuery, config: ClientConfig, path: str, *, encoding: str, params: Any, skip_ready_wait: bool
) -> tuple[str, list[str]]:
    """URL and sub-protocol entries of a WebSocket: dynamic queries use the query form (WIRE-912).

    Raises:
        ConfigurationError: The creation input is too large for a query (WIRE-906).
    """
    text = params_header(params)
    # In sub-protocols rather than headers, although this client could set some: a browser cannot, so servers read them there.
    if query.actor_id is None or not skip_ready_wait:
        return query.url(config, path, skip_ready_wait=skip_ready_wait), subprotocols.offered(encoding, params_json=text)
    entries = subprotocols.offered(encoding, actor_id=query.actor_id, token=config.token, skip_ready_wait=True, params_json=text)
    return config.endpoint + path, entries
