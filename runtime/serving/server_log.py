"""What the server below us writes about its clients, a few times and not each time.

uvicorn notes every request that is none, asyncio every write to a client that has gone; both as often as a stranger likes. They write to
loggers of the standard library, so that is where it is limited: by the text of the record, whatever is filled in.
"""

from __future__ import annotations

import logging

from runtime.logs import FAULTS, MAX_TEXTS, Allowance

GONE_CLIENT = "socket.send() raised exception"
"""The one record of asyncio that strangers bring about; its others are of programs."""


class Seldom(logging.Filter):
    """Lets `FAULTS` records of each text through in half a minute; the next says how many were left out.

    Args:
        beginning: Of the texts that are limited; others pass.
    """

    def __init__(self, beginning: str = "") -> None:
        super().__init__()
        self._beginning = beginning
        self._allowances: dict[str, Allowance] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        text = str(record.msg)
        if not text.startswith(self._beginning):
            return True
        if text not in self._allowances and len(self._allowances) >= MAX_TEXTS:
            text = ""
        allowance = self._allowances.setdefault(text, Allowance(FAULTS))
        if not allowance.spend():
            return False
        if allowance.suppressed:
            record.msg, allowance.suppressed = f"{record.msg} ({allowance.suppressed} more were left out)", 0
        return True


def limit_server_log() -> None:
    """Limit both loggers; once per process, whoever asks how often."""
    for name, beginning in (("uvicorn.error", ""), ("asyncio", GONE_CLIENT)):
        logger = logging.getLogger(name)
        if not any(isinstance(found, Seldom) for found in logger.filters):
            logger.addFilter(Seldom(beginning))
