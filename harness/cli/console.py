"""Where the command line prints: results on stdout, progress and complaints on stderr; colour only on a terminal."""

from __future__ import annotations

import sys

from rich.console import Console

PLAIN_WIDTH = 160
"""Columns when the output is no terminal, so that tables of a CI log are not folded."""

out = Console(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH, soft_wrap=False)
err = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else PLAIN_WIDTH)
