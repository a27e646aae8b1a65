"""Which pages may speak to this server, and under which names (WIRE-031).

A browser carries requests of every page it shows, those of pages of elsewhere, too, into the machine and the network of its user. What such
a page asks is told by `Origin` and `Sec-Fetch-Site`, which a page cannot set; a page whose own name was made to resolve to this machine
(DNS rebinding) is told by its name in `Host`. Programs that are no browsers send neither and pass.

A site is a scheme and a host, whatever the port; all names of the loopback interface together are one site, the developer's own machine.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from runtime.hosting.standalone.listener.scopes import raw_path
from runtime.inspector.assets import is_public

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime.gateway.asgi import Scope
    from runtime.replies import RawHeaders

ANY = "*"
OURS = frozenset({b"same-origin", b"same-site", b"none"})
MAX_NAME = 262
"""Longest host with a port, in bytes: a DNS name has at most 255."""
DEFAULT_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443"}
PASSED_ON = (b"x-forwarded-for", b"forwarded", b"via")
"""Headers of proxies. Not believed, but no reason to trust the machine they stand on."""
_SHOWN = 100
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[0-9a-z._-]+)(?::(\d{0,5}))?", re.ASCII)
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#@\s]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Doors:
    """What is let in beside pages and names of this machine. Make it with `of`, which checks what it is given.

    Attributes:
        origins: Normalized origins whose pages may ask; with `*` every page may.
        hosts: Names without a port under which the server may be asked; with `*` any. Once there is one, other addresses than
            loopback are asked under these names alone, or as an address: no DNS can point one elsewhere.
        own: The name that the server was told to listen on.
    """

    origins: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    own: str = ""

    @classmethod
    def of(cls, origins: Iterable[str] = (), hosts: Iterable[str] = ()) -> Doors:
        """The doors that these open.

        Raises:
            ValueError: An origin is not `scheme://host[:port]`, or a host is no name.
        """
        if isinstance(origins, str) or isinstance(hosts, str):
            raise ValueError("allowed origins and hosts are tuples of texts, not one text")
        return cls(frozenset(map(_allowed_origin, origins)), frozenset(map(_allowed_host, hosts)))

    def served_as(self, name: str) -> Doors:
        """These doors for a server that listens on a name or an address."""
        # The address that means everywhere is none to ask under, although browsers take it for this machine.
        return replace(self, own="" if _is_address(name) else _bare(name))

    def refusal(self, scope: Scope) -> str | None:
        """Why a request or upgrade is refused, in a sentence for whoever runs the server; None when it is let in."""
        any_origin, any_host = ANY in self.origins, ANY in self.hosts
        if any_origin and any_host:
            return None
        host = origin = site = None
        repeated = ""
        for name, value in scope["headers"]:
            if name == b"host":
                repeated = repeated or ("" if host is None else "Host")
                host = value
            elif name == b"origin":
                repeated = repeated or ("" if origin is None or any_origin else "Origin")
                origin = value
            elif name == b"sec-fetch-site":
                # The worst of several counts; no browser sends more than one.
                site = value if site is None or site in OURS else site
        if repeated:
            return f"the header {repeated} comes twice"
        if not any_host and (reason := self._refused_host(scope, host)) is not None:
            return reason
        if any_origin or (origin is None and site is None):
            return None
        return self._refused_page(scope, host, origin, site)

    def _refused_host(self, scope: Scope, host: bytes | None) -> str | None:
        # Of no browser: they name who they ask. HTTP/1.0 has no such header, and checks of health speak it.
        if host is None:
            return None
        local = is_local(scope)
        if not local and not self.hosts:
            return None
        found = _host(host)
        if found is not None and (found == self.own or found in self.hosts or (is_loopback(found) if local else _is_address(found))):
            return None
        shown = _shown(host)
        return f"this server is not asked under the name {shown}; --allow-host (HostOptions.allow_hosts) with that name allows it"

    def _refused_page(self, scope: Scope, host: bytes | None, origin: bytes | None, site: bytes | None) -> str | None:
        foreign = site is not None and site.lower() not in OURS
        if origin is None:
            # An allowed page shows the public files of an inspector in frames, which carry no origin.
            if not foreign or (self.origins and _shows_public_file(scope)):
                return None
            return "a page of another site asked; --allow-origin (HostOptions.allow_origins) with the origin of that page allows it"
        page = _origin(origin)
        if origin == b"null" and "null" in self.origins:
            return None
        if page is not None:
            scheme, name, port = page
            if _written(scheme, name, port) in self.origins:
                return None
            own_scheme, own_name = _scheme(scope), _own_name(scope, host)
            same = (scheme, name) == (own_scheme, own_name)
            # The browser is right when it calls them different sites, and the developer when it is one machine to him.
            alike = scheme in ("http", "https") and is_loopback(name) and own_name is not None and is_loopback(own_name)
            if (same and not foreign) or (alike and not same):
                return None
        shown = _shown(origin)
        return f"pages of {shown} may not use this server; --allow-origin (HostOptions.allow_origins) with that origin allows them"


def is_from_here(scope: Scope, headers: RawHeaders) -> bool:
    """Whether a request was made on this machine: over loopback, and by nobody who says that he passes it on."""
    return is_local(scope) and not any(name in headers for name in PASSED_ON)


def is_local(scope: Scope) -> bool:
    """Whether a request came in at the loopback interface. What came through a UNIX socket did not: a proxy may be behind that."""
    server = scope.get("server")
    return server is not None and server[1] is not None and is_loopback(server[0])


def _shows_public_file(scope: Scope) -> bool:
    if scope["type"] != "http":
        return False
    # By id alone: a query would find an actor by its key, or make one.
    where = raw_path(scope).decode("latin-1").split("/", 3)
    by_query = b"rvt-" in unquote_to_bytes(scope["query_string"]).lower()
    return where[1] == "gateway" and len(where) == 4 and not by_query and is_public(scope["method"], f"/{where[3]}")


@lru_cache(maxsize=256)
def is_loopback(name: str) -> bool:
    """Whether a host, in lower case and without a port, is this machine for every resolver (RFC 6761), brackets or none."""
    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    if bare == "localhost" or bare.endswith(".localhost"):
        return True
    try:
        address = ip_address(bare)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _is_address(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _host(value: bytes) -> str | None:
    """The host of a `Host` header in lower case, without port and final dot; None when it is malformed."""
    return None if len(value) > MAX_NAME else _parsed_host(value)


@lru_cache(maxsize=256)
def _parsed_host(value: bytes) -> str | None:
    match = _AUTHORITY.fullmatch(value.decode("latin-1").lower())
    return None if match is None else _bare(match[1])


def _origin(value: bytes) -> tuple[str, str, str] | None:
    """Scheme, host and port (empty for the default) of an origin; None when it is malformed or `null`."""
    return None if len(value) > MAX_NAME + 16 else _parsed_origin(value.decode("latin-1"))


@lru_cache(maxsize=256)
def _parsed_origin(value: str) -> tuple[str, str, str] | None:
    whole = _ORIGIN.fullmatch(value.lower())
    match = whole and _AUTHORITY.fullmatch(whole[2])
    if not whole or not match:
        return None
    port = match[2] or ""
    return whole[1], _bare(match[1]), "" if port == DEFAULT_PORTS.get(whole[1]) else port


def _bare(name: str) -> str:
    # `localhost.` is `localhost`, looked up from the root.
    bare = name.lower().removesuffix(".")
    return f"[{bare}]" if ":" in bare and not bare.startswith("[") else bare


def _written(scheme: str, name: str, port: str) -> str:
    return f"{scheme}://{name}:{port}" if port else f"{scheme}://{name}"


def _scheme(scope: Scope) -> str:
    scheme: str = scope.get("scheme", "http")
    return {"ws": "http", "wss": "https"}.get(scheme, scheme)


def _own_name(scope: Scope, host: bytes | None) -> str | None:
    if host is not None:
        return _host(host)
    server = scope.get("server")
    return _bare(server[0]) if server is not None and server[1] is not None else None


def _allowed_origin(origin: str) -> str:
    # `null` is what every sandboxed frame and local file says; whoever names it means all of them.
    if origin in (ANY, "null"):
        return origin
    found = _parsed_origin(origin.removesuffix("/"))
    if found is None:
        raise ValueError(f"an allowed origin is scheme://host or scheme://host:port, or *, not {origin!r}")
    return _written(*found)


def _allowed_host(host: str) -> str:
    if host == ANY:
        return host
    match = _AUTHORITY.fullmatch(_bare(host))
    if match is None or match[2] is not None:
        raise ValueError(f"an allowed host is a name or an address without scheme and port, or *, not {host!r}")
    return match[1]


def _shown(value: bytes) -> str:
    text = value[:_SHOWN].decode("latin-1")
    return ascii(text)[1:-1] + ("…" if len(value) > _SHOWN else "") or "(empty)"
