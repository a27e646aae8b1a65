"""Where the command line prints: results on stdout, progress and complaints on stderr; colour only on a terminal."""

from __future__ import annotations

import io
import sys

from rich.console import Console

PLAIN_WIDTH = 160
"""Columns when the output is no terminal, so that tables of a CI log are not folded."""

# At import, before either console takes hold of its stream.
for stream in (sys.stdout, sys.stderr):
    if isinstance(stream, io.TextIOWrapper):
        # A target may say what the terminal's encoding cannot; that must not end the command.
        stream.reconfigure(errors="backslashreplace")

out = Console(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH, soft_wrap=False)
err = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else PLAIN_WIDTH)
