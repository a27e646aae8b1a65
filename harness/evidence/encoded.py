"""Whether a test made use of its encoding: what the client that speaks for the test put on the wire in it.

Only what depends on the encoding counts: actions, queue messages and `/connect` sockets. Manager calls are JSON always, raw sockets have
no encoding. A raw request names it in a header that its handler does not read, so it counts only when it is refused: an error of the
runtime is written in the encoding that was asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from harness.evidence.decode import FIRST_ERROR_STATUS, actor_path

if TYPE_CHECKING:
    from client import Exchange, SocketFrame
    from client.observe import Observer


class EncodingWatch:
    """An observer of the client that speaks the test's encoding; passes everything on."""

    def __init__(self, passed_to: Observer) -> None:
        """Nothing was said yet."""
        self.used = False
        self._passed_to = passed_to

    def on_exchange(self, exchange: Exchange) -> None:
        """One exchange of the client has ended."""
        self.used = self.used or _depends(exchange)
        self._passed_to.on_exchange(exchange)

    def on_frame(self, frame: SocketFrame) -> None:
        """Something happened on a WebSocket of the client."""
        self.used = self.used or (frame.kind == "open" and _path(frame.url) == "/connect")
        self._passed_to.on_frame(frame)


def _depends(exchange: Exchange) -> bool:
    if "x-rivet-encoding" not in exchange.request_headers:
        return False
    path = _path(exchange.url)
    # The body of a raw request is the fixture's own; only the errors around it are in the client's encoding.
    raw = path == "/request" or path.startswith("/request/")
    return not raw or exchange.status is None or exchange.status >= FIRST_ERROR_STATUS


def _path(url: str) -> str:
    return actor_path(url) or urlsplit(url).path
