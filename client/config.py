"""Where a client goes and as whom (WIRE-900, WIRE-901)."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from client.configuration_error import ConfigurationError
from client.header_text import checked_headers, checked_value
from client.limits import DEFAULT_LIMITS, Limits
from runtime.protocol.encodings import Encoding

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_ENDPOINT = "http://localhost:6420"


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """Settings of one client. `max_input_size` limits creation input in query URLs, in bytes of CBOR (WIRE-906)."""

    endpoint: str
    namespace: str = "default"
    token: str | None = None
    pool: str = "default"
    encoding: Encoding = Encoding.BARE
    headers: Mapping[str, str] = field(default_factory=dict)
    max_input_size: int = 4096
    skip_ready_wait: bool = False
    metadata_lookup: bool = True
    limits: Limits = DEFAULT_LIMITS

    @classmethod
    def of(
        cls,
        endpoint: str | None,
        *,
        namespace: str | None,
        token: str | None,
        pool: str | None,
        encoding: Encoding | str,
        headers: Mapping[str, str] | None,
        max_input_size: int,
        skip_ready_wait: bool,
        metadata_lookup: bool,
        limits: Limits = DEFAULT_LIMITS,
    ) -> ClientConfig:
        """Merge arguments, credentials in the endpoint, and the environment.

        Raises:
            ConfigurationError: The endpoint has a query, a fragment, a token without a namespace, or says what an option says, too;
                the encoding is unknown; or a header or the token has characters that no header can have (WIRE-908).
        """
        # What contradicts itself is refused rather than ranked: whoever gave a namespace twice would find out only by the wrong actors.
        if encoding not in list(Encoding):
            raise ConfigurationError(f"unknown encoding {encoding!r}: expected one of {', '.join(Encoding)}")
        text = endpoint or os.environ.get("RIVET_ENGINE") or os.environ.get("RIVET_ENDPOINT") or DEFAULT_ENDPOINT
        parts = urlsplit(text)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(f"endpoint {text!r} is not an http(s) URL")
        if parts.query or parts.fragment:
            raise ConfigurationError("the endpoint must have neither a query nor a fragment")
        url_namespace = unquote(parts.username) if parts.username else None
        url_token = unquote(parts.password) if parts.password else None
        if url_token and not url_namespace:
            raise ConfigurationError("the endpoint has a token but no namespace")
        if url_namespace and namespace:
            raise ConfigurationError("the namespace is given in the endpoint and as an option")
        if url_token and token:
            raise ConfigurationError("the token is given in the endpoint and as an option")
        # Credentials do not stay in the endpoint: URLs of requests reach logs, observers and error messages.
        host = parts.netloc.rpartition("@")[2]
        secret = url_token or token or os.environ.get("RIVET_TOKEN")
        return cls(
            urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", "")),
            url_namespace or namespace or os.environ.get("RIVET_NAMESPACE") or "default",
            None if secret is None else checked_value("the token", secret),
            pool or os.environ.get("RIVET_POOL") or "default",
            Encoding(encoding),
            checked_headers(headers or {}),
            max_input_size,
            skip_ready_wait,
            metadata_lookup,
            limits,
        )

    def redirected(self, metadata: Any) -> ClientConfig:
        """What `/metadata` tells to use instead (WIRE-053)."""
        if not isinstance(metadata, dict):
            return self
        endpoint, namespace, token = (metadata.get(name) for name in ("clientEndpoint", "clientNamespace", "clientToken"))
        return replace(
            self,
            endpoint=endpoint.rstrip("/") if isinstance(endpoint, str) else self.endpoint,
            namespace=namespace if isinstance(namespace, str) else self.namespace,
            token=checked_value("the token of the server's metadata", token) if isinstance(token, str) else self.token,
        )
