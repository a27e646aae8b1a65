"""How long the link waits, and how much it keeps."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.hosting.engine.link.backoff import BASE, STABLE
from runtime.hosting.engine.link.commands import ACK_DELAY
from runtime.hosting.engine.link.requests import EXPIRY
from runtime.hosting.engine.protocol.messages import Init

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """Durations in seconds, sizes in bytes. Tests take shorter ones; nobody else has a reason to.

    Attributes:
        connect: One attempt to connect.
        unknown_lost: The lost threshold as long as the engine has named none (ENGINE-059).
        backoff: Before the second attempt to connect.
        stable: After an init until failed attempts are forgotten.
        acks: Commands are acknowledged after this.
        request: A request to the engine may take this long.
        intent: An intent that is not answered for this long is a connection that does not work: a new one is made.
        final: Kept longer than the engine waits for the end of a generation.
        healthy: A link whose last ping is older is ill (ENGINE-056).
        flush: What is queued at the end may take this long to be written.
        tick: Between looks at all of these.
        offline_bytes: Messages of clients that wait for a connection.
        online_bytes: The same while there is one, which then is slow.
        incoming_bytes: Messages of clients that wait for the loop of the host.
        incoming_calls: How many messages of any kind may.
    """

    connect: float = 10.0
    unknown_lost: float = 10.0
    backoff: float = BASE
    stable: float = STABLE
    acks: float = ACK_DELAY
    request: float = EXPIRY
    intent: float = 30.0
    final: float = 60.0
    healthy: float = 20.0
    flush: float = 5.0
    tick: float = 0.2
    offline_bytes: int = 64 * MIB
    online_bytes: int = 256 * MIB
    incoming_bytes: int = 128 * MIB
    incoming_calls: int = 50_000


DEFAULT_LIMITS = Init(envoy_lost_threshold=15_000, actor_stop_threshold=1_800_000, max_response_payload_size=20_971_520)
"""What an engine says that nobody configured."""
