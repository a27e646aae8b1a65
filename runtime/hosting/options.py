"""Every option of a process that hosts actors, with the defaults of the specification, in one frozen class."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from runtime.gateway.rate_limits import RateLimits

TEST_TOKEN_VARIABLE = "_RIVET_TEST_INSPECTOR_TOKEN"
TEST_TOKEN = "token"


# One flat class, although limits, pools and tokens are different things: programs name them as keyword arguments of one call.
@dataclass(frozen=True, slots=True, kw_only=True)
class HostOptions:
    """Options of a process that hosts actors. Sizes are bytes, durations seconds (WIRE-980, section 12).

    `trusted_proxies` are addresses, networks (`10.0.0.0/8`) or `unix`, from which the client's address is read in `X-Forwarded-For` or
    `Forwarded`; nobody else is believed.
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
    rate_limits: RateLimits = field(default_factory=RateLimits)
    trusted_proxies: tuple[str, ...] = ()

    @property
    def fixed_inspector_token(self) -> str | None:
        """The one token of all actors, None when each has its own (INSP-017)."""
        return self.inspector_token or os.environ.get(TEST_TOKEN_VARIABLE) or (TEST_TOKEN if self.test_mode else None)
