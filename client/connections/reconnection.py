"""Whether and after how long a connection is opened again (WIRE-958, WIRE-959, WIRE-964)."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

from websockets.exceptions import InvalidMessage, InvalidStatus

from client.connections.link import ConnectionClosedError
from client.retry import RetryClass, classify, classify_text, is_stale
from runtime.errors import ActorError
from runtime.protocol.decode_errors import DecodeError

if TYPE_CHECKING:
    from client.retry import RetryPolicy

# Closed by nobody, by a server that goes, restarts or is full: the next one may take it. A plain 1000 or 1011 was meant.
_GONE = frozenset({None, 1001, 1006, 1012, 1013})
_TOO_MANY_REQUESTS = 429
_SERVER_FAULT = 500
# Seconds that a connection lives at least, for its loss to be answered at once each time; and how often it is before that.
_LASTING = 1.0
_AT_ONCE = 5


class Reconnection:
    """Of one connection, over all its sockets.

    Args:
        policy: How long to wait.
        dynamic: Whether the actor behind the query may change.
    """

    def __init__(self, policy: RetryPolicy, *, dynamic: bool) -> None:
        self._policy = policy
        self._dynamic = dynamic
        self._delays = policy.reconnect_delays()
        self._opened_at: float | None = None
        self._short_lives = 0

    def delay(self) -> float:
        """Seconds until the next attempt."""
        return next(self._delays)

    def opened(self) -> None:
        """The connection is `connected`."""
        self._opened_at = asyncio.get_running_loop().time()

    def goes_on(self, failure: BaseException, *, opened: bool) -> bool:
        """Whether another attempt follows after a socket that ended, `opened` or before `Init`; begins its back-off."""
        if not opened:
            return self._may_retry(failure)
        assert self._opened_at is not None
        lasted = asyncio.get_running_loop().time() - self._opened_at >= _LASTING
        self._short_lives = 0 if lasted else self._short_lives + 1
        # A server that takes every connection and loses it at once would be asked without a pause: then the back-off goes on instead.
        if self._short_lives <= _AT_ONCE:
            self._delays = self._policy.reconnect_delays(at_once=not _would_loop(failure))
        return True

    def is_stale(self, failure: BaseException) -> bool:
        """Whether the query may lead to another actor by now; an actor that is being destroyed is the one that was meant."""
        return isinstance(failure, ActorError) and self._dynamic and is_stale(failure) and failure.code != "destroying"

    def _may_retry(self, failure: BaseException) -> bool:
        """Whether an opening that failed before `Init` is repeated (WIRE-959)."""
        # Once connected, the address was right: that nobody is there now is the restart of a server, not a mistake (WIRE-964).
        if self._opened_at is not None and _is_outage(failure):
            return True
        if isinstance(failure, ConnectionClosedError):
            return classify_text(failure.reason) is not RetryClass.NEVER
        if not isinstance(failure, ActorError):
            return False
        if failure.name == "client.get_params_failed" or self.is_stale(failure):
            return True
        return classify(failure) is not RetryClass.NEVER


def _is_outage(failure: BaseException) -> bool:
    """Whether nobody is there, or somebody who only stands for the server while it is away (WIRE-964)."""
    if isinstance(failure, ConnectionClosedError):
        return failure.code in _GONE
    if not isinstance(failure, ActorError):
        return False
    if failure.name == "client.timed_out":
        return True
    cause = failure.__cause__
    if failure.name != "client.connection_open_failed" or isinstance(cause, ssl.SSLCertVerificationError):
        return False
    if isinstance(cause, InvalidStatus):
        return cause.response.status_code >= _SERVER_FAULT or cause.response.status_code == _TOO_MANY_REQUESTS
    # Refused, unreachable, no name, no answer; or an end in the middle of the handshake.
    return isinstance(cause, (OSError, EOFError, InvalidMessage))


def _would_loop(failure: BaseException) -> bool:
    """Whether the next connection would end the same way at once: a denied subscription (CONN-106), an undecodable server."""
    return isinstance(failure, DecodeError) or (isinstance(failure, ActorError) and failure.name == "auth.forbidden")
