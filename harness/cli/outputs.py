"""Writes the files that a run was asked for, each on its own: one that cannot be written takes nothing along."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import junit
from harness.cli.console import err
from harness.events import stream

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.cli.options import Outputs
    from harness.events.results import RunReport


def write(report: RunReport, files: Outputs) -> bool:
    """Write the files asked for, the stream first: from it all others can be made again. Whether all were written."""
    wanted: list[tuple[Path | None, Callable[[Path, RunReport], None]]] = [(files.events, stream.write), (files.junit_file, junit.write)]
    written = [_guarded(path, how, report) for path, how in wanted if path is not None]
    # A list first: `all` over a generator would stop writing at the first file that fails.
    return all(written)


def _guarded(path: Path, how: Callable[[Path, RunReport], None], report: RunReport) -> bool:
    try:
        how(path, report)
    # Whatever it is (a full disk, a bug in a writer): the report exists, and the other file may still be written.
    except Exception as error:
        text = f"conform: {path} could not be written: {type(error).__name__}: {error}"
        err.print(text, style="red", markup=False, highlight=False, soft_wrap=True)
        return False
    return True
