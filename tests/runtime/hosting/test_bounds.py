"""The page about bounds says those of the code."""

from pathlib import Path

from runtime import RateLimits
from runtime.gateway.request_limit import MAX_CALLERS, SHARED_BUDGETS
from runtime.hosting.standalone.actor_names import MAX_NAME_BYTES, MAX_NAMES
from runtime.hosting.standalone.creation_limit import MAX_BUCKETS, SHARED_BUCKETS
from runtime.hosting.standalone.destroyed import KEPT, KEPT_BYTES, KEPT_MS
from runtime.hosting.standalone.namespaces import MAX_NAMESPACES
from runtime.hosting.standalone.rest.pools import MAX_POOLS
from runtime.hosting.standalone.rest.request import MAX_LIMIT
from runtime.logs import FAULTS, WINDOW

PAGE = Path(__file__).parents[3] / "docs/explanation/rates-and-bounds.md"


def test_the_page_says_every_bound():
    rates = RateLimits()
    rows = {row.split("|")[1].strip(): row for row in PAGE.read_text(encoding="utf-8").splitlines() if row.startswith("| ")}
    creations = f"{rates.creation_burst} at once and {1 / rates.creation_interval:.0f} per second"
    for what, bound in {
        "live actors": creations,
        "records of destroyed actors": f"{KEPT:,}, {KEPT_BYTES >> 20} MiB | {KEPT_MS // 3_600_000} hours",
        "names listed per namespace": f"{MAX_NAMES:,}, of {MAX_NAME_BYTES:,} bytes",
        "namespaces": f"{MAX_NAMESPACES:,}; {creations}",
        "pools of a namespace": f"{MAX_POOLS:,}",
        "entries of a page": f"{MAX_LIMIT:,}",
        "requests of a caller": f"{rates.requests:,} per minute, {rates.requests_in_flight:,} in flight",
        "callers with a budget of their own": f"{MAX_CALLERS:,} per window; further ones share {SHARED_BUDGETS}",
        "namespaces with a creation bucket of their own": f"{MAX_BUCKETS:,} in use; further ones share {SHARED_BUCKETS}",
        "messages of a socket": f"{rates.message_burst:,} at once and {1 / rates.message_interval:.0f} per second",
        "log records of one kind": f"{FAULTS} in {WINDOW:.0f} seconds",
    }.items():
        assert bound in rows[what], what
