"""Results that something else produced: JUnit files of any tool, and our own event streams."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from harness import junit
from harness.errors import UsageError
from harness.events import stream
from harness.events.results import RunReport
from harness.junit import Duplicates

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def read(paths: Sequence[Path], duplicates: Duplicates = Duplicates.ERROR) -> RunReport:
    """One report of all files; what they are is seen from how they begin.

    Several streams are shards of one run. A report with nothing in it has a problem: a gate on it would compare nothing.

    Raises:
        UsageError: a file cannot be read; the message names it.
    """
    streams = [path for path in paths if _is_stream(path)]
    documents = [path for path in paths if path not in streams]
    parts = [stream.merge([stream.read(path) for path in streams])] if streams else []
    parts += [junit.read(documents, duplicates)] if documents else []
    if len(parts) == 1:
        report = parts[0]
    else:
        # Streams and JUnit together have no common session: neither target nor variants of the whole are known.
        report = RunReport({"event": "session", "target": "files"}, seconds=sum(part.seconds for part in parts))
        report.results = sorted((result for part in parts for result in part.results), key=lambda result: result.id)
        report.problems = [problem for part in parts for problem in part.problems]
        times = Counter(result.id for result in report.results)
        report.problems += [f"{name} occurs in a stream and in a JUnit file" for name, count in times.items() if count > 1]
    if not report.results and not report.problems:
        report.problems.append(f"there is no result in {', '.join(map(str, paths))}")
    return report


def _is_stream(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            # By the first byte and not by the name: results come out of pipelines under any name, and XML cannot begin so.
            return file.read(1) == b"{"
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
