"""Loads the plug-in by itself where pytest is pointed at a corpus: `pytest --pyargs driver_tests`, or `pytest` in a corpus of your own.

This module is what an installation registers with pytest, so every pytest of the environment imports it: it is small, declares no option
and does nothing elsewhere. To load the plug-in twice (`-p harness.plugin`, a `conftest.py` that names it) is fine: pytest knows its name.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

# In bytes and by text: importing test modules before pytest does would keep it from rewriting their assertions.
_SUITE = re.compile(rb"^from harness import\b[^\n(]*\bsuite\b|^from harness import \([^)]*\bsuite\b", re.MULTILINE)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Register `harness.plugin` before its options are read, when there is a corpus."""
    if any(_is_corpus(path) for path in _asked(early_config)):
        # Before options are parsed, since they are the plug-in's own; an ordinary entry point would give them to every pytest of the
        # environment.
        early_config.pluginmanager.import_plugin("harness.plugin")


def _asked(config: pytest.Config) -> list[Path]:
    """The files and directories that pytest is pointed at; what is none of them may be the value of an option not known yet."""
    named = config.known_args_namespace
    found: list[Path] = []
    for argument in named.file_or_dir:
        where = str(argument).partition("::")[0]
        path = config.invocation_params.dir / where
        if path.exists():
            found.append(path)
        elif named.pyargs and where.replace(".", "").isidentifier():
            found += _package(where)
    return found or [config.invocation_params.dir / where for where in config.getini("testpaths") or ["."]]


def _package(name: str) -> Iterator[Path]:
    try:
        spec = importlib.util.find_spec(name)
    except ImportError:
        return
    if spec is not None:
        yield from map(Path, spec.submodule_search_locations or ([spec.origin] if spec.origin else []))


def _is_corpus(path: Path) -> bool:
    files = path.glob("test_*.py") if path.is_dir() else [path] if path.suffix == ".py" else []
    return any(_SUITE.search(file.read_bytes()) for file in files)
