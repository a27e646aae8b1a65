"""Every option of a process that hosts actors, with the defaults of the specification, in one frozen class."""

from __future__ import annotations

from dataclasses import dataclass, field

from runtime.actor.database.handles.open_files import FILES
from runtime.actor.database.pool import THREADS
from runtime.gateway.rate_limits import RateLimits

TEST_TOKEN = "token"


# One flat class, although limits, pools and tokens are different things: programs name them as keyword arguments of one call.
@dataclass(frozen=True, slots=True, kw_only=True)
class HostOptions:
    """Options of a process that hosts actors. Sizes are bytes, durations seconds (WIRE-980, section 12).

    Attributes:
        admin_token: What operators show to list and to order actors. Without one only this machine may, and a server that listens for
            others makes one (WIRE-028, WIRE-032).
        allow_origins: Origins of pages of elsewhere that may use the server, as `scheme://host[:port]`; `*` is every page (WIRE-031).
        allow_hosts: Names under which the server may be asked, beside those of loopback; `*` is any (WIRE-031).
        inspector_token: The one token of all inspectors (INSP-017).
        test_mode: Without `inspector_token`, the token of all inspectors is `token` (INSP-017).
        answers_probes: Whether hibernating raw sockets answer the acknowledgement probe of tests (WIRE-632).
        trusted_proxies: Addresses, networks (`10.0.0.0/8`) or `unix`, from which the client's address is read in `X-Forwarded-For` or
            `Forwarded`; nobody else is believed. Behind them are other machines, so operators need a token.
        database_threads: How many databases of actors run statements at a time; the others wait for their turn. 16 to 64 is sensible.
        database_files: How many files the databases of actors hold open, three for each; the one that idles longest is closed for another.
            At most a quarter of what the process may open.
    """

    max_incoming_message_size: int = 65_536
    max_outgoing_message_size: int = 1_048_576
    admin_token: str | None = None
    namespace: str = "default"
    pool: str = "default"
    any_pool: bool = False
    ready_timeout: float = 30.0
    grace_period_override: float | None = None
    inspector_token: str | None = None
    test_mode: bool = False
    answers_probes: bool = False
    allow_origins: tuple[str, ...] = ()
    allow_hosts: tuple[str, ...] = ()
    rate_limits: RateLimits = field(default_factory=RateLimits)
    trusted_proxies: tuple[str, ...] = ()
    database_threads: int = THREADS
    database_files: int = FILES

    @property
    def fixed_inspector_token(self) -> str | None:
        """The one token of all actors, None when each has its own (INSP-017)."""
        return self.inspector_token or (TEST_TOKEN if self.test_mode else None)
