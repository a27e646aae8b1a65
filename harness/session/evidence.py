"""Gathering the evidence of one test: the transcript while it runs, the target's state when it failed."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from typing import TYPE_CHECKING, Any

import httpx

from client.transport import certificates
from harness.errors import ClientViolation, SchemaViolation
from harness.evidence import bundle, rerun, timeline
from harness.evidence.decode import CLIENT, TARGET, Reader, actor_ids, violations
from harness.evidence.transcript import Transcript
from harness.testing.clock import Clock

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from harness.evidence.decode import Reading, Violation
    from harness.masking import Mask
    from harness.session.corpus import CorpusTest
    from harness.session.settings import Settings
    from harness.session.verdicts import Phase
    from harness.testing.conform import Conform

PATIENCE = 5.0
"""Seconds for each look at a target that may be stuck."""
LONGEST_LOG = 256 * 1024


class Evidence:
    """What is known of one running test beyond its verdict."""

    def __init__(self, log_file: Path | None, mask: Mask) -> None:
        """Recording begins now; `log_file` is the target's, when it has one. What leaves the evidence goes through `mask`."""
        self._mask = mask
        self.transcript = Transcript()
        self.epoch = Clock(virtual=False).wall()
        self.files: dict[str, str] = {}
        self.encoded = False
        self._records: list[tuple[float, Any]] = []
        self._log_file = log_file
        self._log_start = log_file.stat().st_size if log_file is not None and log_file.exists() else 0

    def check(self) -> None:
        """Hold every message against its schema.

        Raises:
            SchemaViolation: the target sent something malformed.
            ClientViolation: the client library did.
        """
        found = violations(self.transcript)
        if of_target := [one for one in found if one.side == TARGET]:
            raise SchemaViolation(f"the target sent what no schema allows: {_listed(of_target)}")
        if of_client := [one for one in found if one.side == CLIENT]:
            raise ClientViolation(f"the client library sent what no schema allows: {_listed(of_client)}")

    async def snapshot(self, conform: Conform) -> None:
        """Ask the target how things stand: actor records and metrics. A target that does not answer is noted, not an error."""
        ids = actor_ids(self.readings())
        if ids:
            records = await _get(conform, "/actors", {"actor_ids": ",".join(ids), "namespace": conform.namespace})
            self.files["actors.json"] = self._mask.text(records)
            running = _running(records)
            if running is not None and conform.has("metrics"):
                self.files["metrics.txt"] = self._mask.text(await _get(conform, f"/gateway/{running}/metrics", {}))

    async def look(self, conform: Conform) -> None:
        """Ask the manager once more how the actors are, for the timeline only: nothing of this can change the verdict."""
        ids = actor_ids(self.readings())
        query = {"actor_ids": ",".join(ids), "namespace": conform.namespace}
        if not ids:
            return
        # A client of its own: the transcript is held against the schemas, and this is not part of the test.
        async with httpx.AsyncClient(base_url=conform.endpoint, verify=certificates(), timeout=PATIENCE) as http:
            with contextlib.suppress(httpx.HTTPError, ValueError):
                answer = (await http.get("/actors", params=query, headers=_headers(conform))).json()
                self._records.append((asyncio.get_running_loop().time(), self._mask.value(answer)))

    def timeline(self, report_sections: list[tuple[str, str]], *, virtual: bool) -> list[dict[str, Any]]:
        """What was observed, on one time axis; see `harness.evidence.timeline`."""
        # In virtual time the timestamps of a log are of another clock.
        log = "" if virtual else self.log(report_sections)
        return timeline.derive(self.readings(), began=self.transcript.began, epoch=self.epoch, records=self._records, log=log)

    def readings(self) -> list[Reading]:
        """The transcript, decoded and then without secrets: what is cut off later has none to show half of."""
        reader = Reader()
        return [self._mask.value(reader.read(entry)) for entry in self.transcript]

    def log(self, report_sections: list[tuple[str, str]]) -> str:
        """What the target logged meanwhile: its own file, else what this process wrote during the test."""
        if self._log_file is not None and self._log_file.exists():
            with self._log_file.open("rb") as file:
                file.seek(self._log_start)
                text = file.read().decode(errors="replace")
        else:
            text = "".join(f"--- {name}\n{text}\n" for name, text in report_sections)
        return self._mask.text(text)[-LONGEST_LOG:]


def write_bundle(
    settings: Settings,
    test: CorpusTest,
    decided: Phase,
    evidence: Evidence | None,
    report: pytest.TestReport,
    item: pytest.Item,
    mask: Mask,
) -> Path | None:
    """Write the bundle of a test that is neither pass nor skip; None when none was asked for."""
    if settings.evidence is None:
        return None
    target = dataclasses.asdict(dataclasses.replace(settings.target, token=None))
    corpus = item.path.parent
    about: dict[str, Any] = {
        "test": str(test.id),
        "verdict": str(decided.verdict),
        "blame": str(decided.blame),
        "message": decided.message,
        "doc": test.doc,
        "requirements": list(test.requirements),
        "target": mask.value(target),
        "time": str(settings.time),
        "seed": settings.seed,
        "corpus": str(corpus),
        "rerun": mask.text(rerun.command(test.id, settings.target, str(settings.time), seed=settings.seed, corpus=corpus)),
    }
    directory = bundle.place(settings.evidence, str(test.id))
    files = {"failure.txt": decided.detail}
    if evidence is None:
        bundle.write(directory, about, [], files, began=0.0)
        return directory
    files |= {**evidence.files, "target.log": evidence.log(report.sections)}
    about["epoch_ms"] = int(evidence.epoch * 1000)
    began, dropped = evidence.transcript.began, evidence.transcript.dropped
    bundle.write(directory, about, evidence.readings(), files, began=began, dropped=dropped)
    return directory


def _headers(conform: Conform) -> dict[bytes, bytes]:
    # As bytes: a token need not be ASCII.
    return {b"authorization": f"Bearer {conform.token}".encode()} if conform.token else {}


async def _get(conform: Conform, path: str, query: dict[str, str]) -> str:
    try:
        async with asyncio.timeout(PATIENCE):
            response = await conform.http.get(path, params=query, headers=_headers(conform))
    except (httpx.HTTPError, TimeoutError) as error:
        return json.dumps({"unavailable": repr(error)})
    return response.text


def _running(records: str) -> str | None:
    """An actor that runs now; asking one that sleeps would wake it."""
    try:
        actors = json.loads(records)["actors"]
        return next((one["actor_id"] for one in actors if one["connectable_ts"] is not None and one["destroy_ts"] is None), None)
    except (ValueError, KeyError, TypeError):
        return None


def _listed(found: list[Violation], most: int = 3) -> str:
    more = f" (and {len(found) - most} more)" if len(found) > most else ""
    return "; ".join(one.what for one in found[:most]) + more
