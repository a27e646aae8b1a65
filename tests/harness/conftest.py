"""The `conform` command in this process, and the standard corpus as pytest collects it."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from harness.cli import main
from harness.cli.console import PLAIN_WIDTH, err, out
from harness.run import runner
from harness.run.request import RunRequest
from tests.harness.app_server import AppServer
from tests.harness.fake_app import FakeApp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

ROOT = Path(__file__).parents[2]


class Conform(Protocol):
    """`conform("run", "--jobs", "1", status=1)`: what it printed, standard output first; any other status fails the test."""

    def __call__(self, *arguments: str, status: int | tuple[int, ...] = 0) -> str: ...


@pytest.fixture
def conform(tmp_path, monkeypatch, capsys) -> Conform:
    """Run the command in the test's directory, without a process of its own: `test_commands.py` has one real process per command.

    Only in the main thread of a test that is not async: commands run a loop of their own.
    """
    # Workers are processes of their own and find targets of the tests by it.
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    for console in (out, err):
        # Made at import, maybe on a terminal: as in a pipe, where tables are not folded and nothing is coloured.
        monkeypatch.setattr(console, "_width", PLAIN_WIDTH)
        monkeypatch.setattr(console, "_force_terminal", False)
        monkeypatch.setattr(console, "_color_system", None)

    def call(*arguments: str, status: int | tuple[int, ...] = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["conform", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        code = ended.value.code or 0
        assert code in (status if isinstance(status, tuple) else (status,)), f"{code}\n{printed.out}\n{printed.err}"
        return printed.out + printed.err

    return call


@pytest.fixture(scope="session")
def collected() -> list[dict[str, Any]]:
    """The standard corpus, collected once per session: the `collected` events of all encodings on the reference's SQLite."""
    events = asyncio.run(runner.collect(RunRequest(storages=("sqlite",))))
    assert events
    assert all(event["event"] == "collected" for event in events), events
    return events


@pytest.fixture
def fake_url() -> Iterator[str]:
    """Where `FakeApp` is served by somebody else: by a thread, so that a command may run here."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = AppServer(FakeApp())
    try:
        yield asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
