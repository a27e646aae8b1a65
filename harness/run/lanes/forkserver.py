"""The process that lanes are forked from: pytest, plug-in and target are imported here once, and every fork starts with them.

Run as `python -m harness.run.lanes.forkserver FD`, where FD is one end of a socket of sequenced packets. Each packet orders one lane and
carries four descriptors: a file with the order (JSON: `arguments` of pytest, `environment`, `directory`, and `preload`, modules to import
before the fork), where events go, where the output goes, and where the server says what became of the fork: a line with its process id,
later one with its exit status.

Why a process of its own and not a fork of `conform`: whoever asks for a lane has threads and a running event loop, and a fork copies
neither faithfully. This process has one thread and no loop, and looks before each fork: when something that was imported started a thread,
it refuses with the line `unsafe`, and the caller spawns. It lives as long as the socket is open, so that it outlives nobody, and takes its
forks with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from anyio.lowlevel import checkpoint

from client.transport import certificates
from harness.run.lanes.arguments import INI, PLUGINS

if TYPE_CHECKING:
    from collections.abc import Sequence

DESCRIPTORS = 4
UNSAFE = "unsafe"


class ForkServer:
    """Forks on order, reaps, and reports."""

    def __init__(self, orders: socket.socket) -> None:
        """Orders come through the socket."""
        self._orders = orders
        self._running: dict[int, int] = {}
        """Descriptor to report to, by process id."""

    def serve(self) -> None:
        """Work until the socket is closed; then end what still runs."""
        waking, woken = os.pipe()
        os.set_blocking(woken, False)
        os.set_blocking(waking, False)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # Ctrl-C in a terminal reaches the whole group: ending is up to whoever gives the orders.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with selectors.DefaultSelector() as selector:
            selector.register(self._orders, selectors.EVENT_READ)
            selector.register(waking, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is not self._orders:
                        with contextlib.suppress(BlockingIOError):
                            os.read(waking, 4096)
                    elif not self._order(selector, (waking, woken)):
                        return self._end()
                self._reap()

    def _order(self, selector: selectors.BaseSelector, own: tuple[int, int]) -> bool:
        packet, descriptors, _, _ = socket.recv_fds(self._orders, 1, DESCRIPTORS)
        if not packet:
            return False
        for descriptor in descriptors:
            # A lane starts targets; what they inherit they hold open, and a pipe with another writer has no end.
            os.set_inheritable(descriptor, False)
        file, events, output, report = descriptors
        with os.fdopen(file, encoding="utf-8") as opened:
            order = json.load(opened)
        for module in order["preload"]:
            # What cannot be imported says so in the lane, as it would without a server.
            with contextlib.suppress(Exception):
                importlib.import_module(module)
        gc.freeze()
        # After the preload, as it is what starts threads: a lock that one of them holds would stay locked in the fork for ever.
        if _threads() > 1:
            _say(report, UNSAFE)
            os.close(report)
        elif (process := os.fork()) == 0:
            selector.close()
            # The reports of the other lanes as well: their end is told by the pipe closing, which a copy here would keep open.
            for other in (*own, *self._running.values(), report):
                os.close(other)
            self._orders.close()
            _lane(order, events, output)
        else:
            self._running[process] = report
            if not _say(report, process):
                os.kill(process, signal.SIGKILL)
        os.close(events)
        os.close(output)
        return True

    def _reap(self) -> None:
        while self._running:
            process, status = os.waitpid(-1, os.WNOHANG)
            if process == 0:
                return
            report = self._running.pop(process, None)
            if report is not None:
                _say(report, os.waitstatus_to_exitcode(status))
                os.close(report)

    def _end(self) -> None:
        for process in self._running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)


def _say(report: int, what: object) -> bool:
    """Tell whoever ordered; whether they are still there. One who left must not end the lanes of the others."""
    try:
        os.write(report, f"{what}\n".encode())
    except BrokenPipeError:
        return False
    return True


def _threads() -> int:
    # Threads that C code started are not Python's, but a fork loses them all the same.
    tasks = Path("/proc/self/task")
    return len(os.listdir(tasks)) if tasks.is_dir() else threading.active_count()  # noqa: PTH208 -- the cheapest count, before every fork


def _lane(order: dict[str, Any], events: int, output: int) -> NoReturn:
    """Be the lane: what `python -m pytest` would be in a process of its own, in a group of its own."""
    status = 1
    try:
        # A group of its own, so that a lane is ended with everything that it started.
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        silence = os.open(os.devnull, os.O_RDONLY)
        for source, place in ((silence, 0), (output, 1), (output, 2)):
            os.dup2(source, place)
        os.chdir(order["directory"])
        os.environ.clear()
        os.environ.update(order["environment"])
        # Before pytest looks for the corpus; what the server has imported already is the same in every lane.
        _search([order["directory"], *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))])
        status = int(pytest.main([*order["arguments"], f"--events=/dev/fd/{events}"]))
    finally:
        # Not sys.exit: what the server would do at its end is not the lane's business.
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(status)


def _search(first: Sequence[str]) -> None:
    """Look for modules where a process of its own would: the server may be older than the variable, and was started elsewhere."""
    sys.path[:] = [*first, *(place for place in sys.path if place not in first)]


def _warm_up() -> None:
    """Run an empty session, so that everything pytest imports when it is needed is there, under its assertion rewriting."""
    flags = [f"-c={INI}", "-q", "-p", "no:cacheprovider"]
    plugins = [part for plugin in PLUGINS for part in ("-p", plugin)]
    with (
        tempfile.TemporaryDirectory(prefix="conform-warm-") as empty,
        Path(os.devnull).open("w", encoding="utf-8") as nothing,
        contextlib.redirect_stdout(nothing),
        contextlib.redirect_stderr(nothing),
    ):
        pytest.main([*plugins, *flags, f"--rootdir={empty}", empty])
    # What the first request of every lane would load again: the trusted certificates, and what httpcore asks for its locks.
    certificates()
    asyncio.run(checkpoint())


def main(arguments: Sequence[str]) -> None:
    """Entry point."""
    _warm_up()
    with tempfile.TemporaryDirectory(prefix="conform-code-") as code:
        if sys.dont_write_bytecode:
            # Nobody wants files beside the modules, but forks need not each rewrite the corpus' assertions again.
            sys.dont_write_bytecode, sys.pycache_prefix = False, code
        _serve(int(arguments[0]))


def _serve(descriptor: int) -> None:
    # Never looked at again, so that forks share these pages for good.
    gc.collect()
    gc.freeze()
    ForkServer(socket.socket(fileno=descriptor)).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
