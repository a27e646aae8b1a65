"""What the gateway reads out of an ASGI scope."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from runtime.gateway.asgi import Scope


def address(scope: Scope) -> str:
    """Where the client connects from, empty when the server does not tell."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def with_query(path: bytes, query: bytes) -> str:
    """Path and query as one target."""
    return (path + b"?" + query if query else path).decode("latin-1")


def raw_path(scope: Scope) -> bytes:
    """The path as sent, below the mount point, without a fragment (WIRE-226)."""
    raw: bytes | None = scope.get("raw_path")
    if raw is None:
        # Some servers and test clients give the decoded path only.
        raw = quote(scope["path"]).encode()
    root: str = scope.get("root_path", "")
    if root:
        raw = raw.removeprefix(root.encode()) or b"/"
    return raw if b"#" not in raw else raw.partition(b"#")[0]


def own_url(scope: Scope) -> str | None:
    """The URL under which this application was asked, None when the server has no port (a UNIX socket)."""
    server = scope.get("server")
    if server is None or server[1] is None:
        return None
    name = f"[{server[0]}]" if ":" in server[0] else server[0]
    return f"http://{name}:{server[1]}{scope.get('root_path', '')}"
