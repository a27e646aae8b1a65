"""Whose request it is: the address that the rate limit counts (WIRE-269).

`X-Forwarded-For` and `Forwarded` say what their sender likes. They are believed of proxies that were named (`HostOptions.trusted_proxies`)
and of nobody else: otherwise every caller could have as many budgets as it can think of addresses. Without a name for it, all that comes
through a proxy is one caller.

Calls of this host's own actors come through the same port. A secret that each process makes anew tells them from what others send; it is
taken out of the request, so that no actor and no inspector sees it.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from hmac import compare_digest
from typing import TYPE_CHECKING

from runtime.hosting.standalone.listener.scopes import address
from runtime.hosting.standalone.loopback import LOOPBACK_HEADER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.gateway.asgi import Scope
    from runtime.replies import RawHeaders

UNIX = "unix"
"""What a proxy that connects over a Unix socket is named by: it has no address."""
_FOR = re.compile(r'(?:^|;)[ \t]*for[ \t]*=[ \t]*("[^"]*"|[^;"]*)', re.IGNORECASE)
_WITH_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::\d{1,5})?")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ClientAddresses:
    """Finds the address of each request's client.

    Args:
        trusted: Addresses or networks (`10.0.0.0/8`) of proxies, or `unix`.
        secret: What marks the calls of this host's own actors.

    Raises:
        ValueError: An entry is neither an address nor a network.
    """

    def __init__(self, trusted: Sequence[str] = (), secret: str = "") -> None:
        self._unix = UNIX in trusted
        self._networks = [_network(text) for text in trusted if text != UNIX]
        self._secret = secret.encode()
        self._any = bool(trusted)
        # Proxies are few and ask often; bounded, because anybody may connect.
        self._is_proxy = lru_cache(maxsize=256)(self._look_up)

    def of(self, scope: Scope, headers: RawHeaders) -> str | None:
        """The client's address, empty when the server tells none; None for whom no limit is meant: an actor of this host, or a trusted
        proxy that asks for itself. Takes the mark of this host's own calls out of `headers`.
        """
        mark = headers.pop(LOOPBACK_HEADER, None)
        if mark is not None and self._secret and compare_digest(mark, self._secret):
            return None
        peer = address(scope)
        return peer if not self._any or not self._is_proxy(peer) else self._forwarded(scope, peer)

    def _forwarded(self, scope: Scope, peer: str) -> str | None:
        lists = [_entries(scope, b"x-forwarded-for"), [_forwarded_for(element) for element in _entries(scope, b"forwarded")]]
        found = {self._client(entries) for entries in lists if entries}
        if not found:
            return None
        # A proxy that writes one of the two hands on the other as it came: if they differ, one is a stranger's word.
        client = found.pop() if len(found) == 1 else None
        return client or peer

    def _client(self, entries: list[str]) -> str | None:
        """The right-most address that is no trusted proxy's, the left-most if all are; None when an entry on the way is malformed."""
        found = None
        for entry in reversed(entries):
            found = _parsed(entry)
            if found is None:
                return None
            if not self._trusts(found):
                break
        return None if found is None else str(found)

    def _look_up(self, peer: str) -> bool:
        if not peer:
            return self._unix
        found = _parsed(peer)
        return found is not None and self._trusts(found)

    def _trusts(self, found: Address) -> bool:
        return any(found in network for network in self._networks)


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"trusted proxy {text!r} is neither an address, a network, nor `{UNIX}`") from None


def _parsed(text: str) -> Address | None:
    """The address of an entry, which may have a port; None when it has none, as `unknown` and names for the privacy of the client."""
    text = text.strip(" \t")
    if (match := _WITH_PORT.fullmatch(text)) is not None:
        text = match[1] or match[2]
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    # One address, whichever way the socket or the proxy writes it.
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _entries(scope: Scope, name: bytes) -> list[str]:
    # Of all lines: the next proxy may add one of its own instead of lengthening the one that is there.
    lines: list[str] = [value.decode("latin-1") for key, value in scope["headers"] if key == name]
    text = ",".join(lines)
    return text.split(",") if text.strip() else []


def _forwarded_for(element: str) -> str:
    """The `for` of an element of `Forwarded` (RFC 7239), empty where it has none."""
    match = _FOR.search(element.strip())
    return match[1].strip(' \t"') if match else ""
