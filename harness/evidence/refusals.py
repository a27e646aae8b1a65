"""What a target said when it refused to speak to us at all: the name, the page or the token was wrong, whatever the test was about."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from client.observe import Exchange
from harness.evidence.transcript import RawExchange

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.evidence.transcript import Entry

FORBIDDEN = 403


def refusal(entries: Iterable[Entry]) -> str | None:
    """The sentence of the first answer `api.forbidden` (WIRE-028, WIRE-031), with what was asked; None when there was none."""
    for entry in entries:
        found = entry.exchange() if isinstance(entry, RawExchange) else entry
        if isinstance(found, Exchange) and found.status == FORBIDDEN:
            try:
                body = json.loads(found.response_body)
                if (body["group"], body["code"]) == ("api", "forbidden"):
                    return f"{found.method} {found.url}: {body['message']}"
            except (ValueError, KeyError, TypeError):
                continue
    return None
