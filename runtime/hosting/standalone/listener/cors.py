"""CORS of the two faces of the listener: the REST API and the gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.replies import Headers

ALLOW_ORIGIN = b"access-control-allow-origin"
ALLOW_CREDENTIALS = (b"access-control-allow-credentials", b"true")
EXPOSE_ALL = (b"access-control-expose-headers", b"*")
METHODS = (b"access-control-allow-methods", b"GET, POST, PUT, DELETE, OPTIONS, PATCH")
MAX_AGE = (b"access-control-max-age", b"86400")
REST_VARY = (b"vary", b"origin, access-control-request-method, access-control-request-headers")
ANY_ORIGIN: Headers = ((ALLOW_ORIGIN, b"*"), ALLOW_CREDENTIALS, EXPOSE_ALL)


def gateway_headers(origin: bytes | None) -> Headers:
    """What every gateway response carries (WIRE-261)."""
    # No browser asks without an origin: the wildcard lets nobody in.
    if origin is None:
        return ANY_ORIGIN
    return ((ALLOW_ORIGIN, origin), ALLOW_CREDENTIALS, EXPOSE_ALL, (b"vary", b"Origin"))


def gateway_preflight(origin: bytes | None, requested_headers: bytes | None) -> Headers:
    """The answer to OPTIONS on the gateway (WIRE-260)."""
    return (*gateway_headers(origin), METHODS, (b"access-control-allow-headers", requested_headers or b"*"), MAX_AGE)


def rest_headers(origin: bytes | None) -> Headers:
    """What every REST response carries when the request names an origin (WIRE-030)."""
    if origin is None:
        return ()
    return ((ALLOW_ORIGIN, origin), ALLOW_CREDENTIALS, REST_VARY)


def rest_preflight(origin: bytes | None, method: bytes | None, requested_headers: bytes | None) -> Headers:
    """The answer to a REST preflight: it mirrors what was asked for (WIRE-030)."""
    headers = rest_headers(origin)
    if method is not None:
        headers = (*headers, (b"access-control-allow-methods", method))
    if requested_headers is not None:
        headers = (*headers, (b"access-control-allow-headers", requested_headers))
    return headers
