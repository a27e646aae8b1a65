"""What exists in a corpus and is not counted, and what its source says against it.

A test that nobody collects cannot fail, and no result tells that it is missing. So every function of a corpus that looks like a test must
be behind a collected test. One rule finds modules without a suite, `unittest` classes, modules that skip themselves, a `conftest` that
drops what it does not like, functions shadowed by a later one of the same name, and files that pytest does not look at.
"""

from __future__ import annotations

import gc
import importlib.util
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.lint.bounds import bare_bounds
from harness.lint.module import Source
from harness.lint.oracles import weak_checks
from harness.session import corpus
from harness.session.fixtures import SETTINGS
from harness.session.heap import Heap
from harness.session.uncounted import first_line, uncounted

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from harness.session.lost import Lost
    from harness.session.recorder import Recorder

FAULTS: pytest.StashKey[list[str]] = pytest.StashKey()
"""What its source says against a collected test."""
TAIL = 2000
"""Characters of a traceback that are told; its end says what was raised."""
# With one of these, tests are missing because somebody wished so; `conform` itself uses none of them but the keyword.
NARROWING = ("keyword", "markexpr", "deselect", "ignore", "ignore_glob", "lf", "stepwise")
"""Options with which pytest itself leaves out tests or files."""


class Census:
    """Counts what is written against what is collected; what does not add up goes into the event stream and onto the terminal."""

    def __init__(self, recorder: Recorder, lost: Lost, *, judged: bool) -> None:
        """Registered by `harness.plugin`; of a judged session every directory it was given is the corpus."""
        self._recorder = recorder
        self._lost = lost
        self._judged = judged
        self._skipped: dict[Path, str] = {}
        self._failed: set[Path] = set()
        self._problems: list[str] = []
        self._heap = Heap()

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Remember which modules skipped themselves, and which pytest tells of anyway because it could not import them."""
        report = yield
        if isinstance(collector, pytest.File) and report.skipped:
            self._skipped[collector.path] = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        # pytest would end with status 2 by itself, but say it only on the terminal: whoever reads the events must not take silence for a
        # pass.
        elif report.failed:
            self._failed.add(collector.path)
            self._problems.append(f"{collector.nodeid}: cannot be collected, so nothing is run:\n{report.longreprtext.strip()[-TAIL:]}")
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> Generator[None, object, object]:
        """Compare what is written with what was collected, and that with what is left when every plug-in has selected."""
        # First and last at once: before every other plug-in for what there is, after all of them for what is left.
        found = list(items)
        result = yield
        config = session.config
        narrowed = any(config.getoption(option, None) for option in NARROWING)
        left = {*items, *config.stash.get(corpus.DROPPED, [])}
        # Dropped by our own selection is fine (`DROPPED`), by anybody else is not: a `conftest` must not choose what a target is judged by.
        if not narrowed:
            gone = [item for item in found if corpus.is_counted(item) and item not in left]
            self._problems += [f"{item.nodeid} was collected and then dropped by a conftest or a plug-in" for item in gone]
        by_file: dict[Path, list[pytest.Item]] = defaultdict(list)
        for item in found:
            by_file[item.path].append(item)
        chosen = {item.path for item in items}
        for path in self._files(config, by_file):
            # Files of other suites were left out unread, so that a loop over one test starts fast; the run that selects them looks at them.
            if path in self._failed or corpus.elsewhere(path, config.stash[SETTINGS]):
                continue
            here = by_file.get(path, [])
            place = str(path.relative_to(config.rootpath)) if path.is_relative_to(config.rootpath) else str(path)
            source = Source.read(path, _names(path, here))
            if source is None:
                continue
            if here or path in self._skipped or not narrowed:
                self._problems += uncounted(source, here, place, self._skipped.get(path))
            # Faults of files that nothing was selected from are not this run's; helpers without tests count for all who may import them.
            if path in chosen or not source.tests():
                self._problems += _blame(source, here, place)
        return result

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self) -> None:
        """Tell, after the session was announced; what exists now is no test's."""
        self._tell(self._problems)
        self._heap.set_aside()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Tell what was lost after the last test; a session with problems does not end well."""
        # A task whose exception nobody asked for says so only when it is collected; what is left now will not be looked at again.
        self._heap.bring_back()
        gc.collect()
        late = [f"lost after the tests: {text}" for text in self._lost.take()]
        self._problems += late
        self._tell(late)
        # Only ever towards the bad: a status that says interrupted or usage error tells more than this one.
        if self._problems and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Show the problems to those who run plain pytest."""
        if self._problems:
            terminalreporter.section("problems of the corpus")
            for problem in self._problems:
                terminalreporter.line(problem)

    def _tell(self, problems: Sequence[str]) -> None:
        for problem in problems:
            self._recorder.problem(problem)

    def _files(self, config: pytest.Config, by_file: dict[Path, list[pytest.Item]]) -> list[Path]:
        """The files of the corpus among those that this session was pointed at."""
        suites = {path for path, items in by_file.items() if any(corpus.suite_of(item) for item in items)}
        asked = _asked(config)
        whole = [path for path in asked if path.is_dir()]
        # By hand people run corpus and unit tests side by side; then only directories with a suite are held to the rule.
        roots = whole if self._judged else sorted({path.parent for path in suites})
        below = {
            path for root in roots for path in root.rglob("*.py") if not any(part.startswith(".") for part in path.relative_to(root).parts)
        }
        return sorted({path for path in below if any(path.is_relative_to(one) for one in whole)} | (suites & set(asked)))


def _blame(source: Source, items: Sequence[pytest.Item], place: str) -> list[str]:
    """Hold what the source says against the test it is in, else against all of the file; returns what is said of a file without tests."""
    told: list[str] = []
    tests = source.tests()
    for finding in [*weak_checks(source), *bare_bounds(source)]:
        text = f"{place}:{finding.line}: {finding.text}"
        if not tests:
            told.append(text)
        inside = [test.first for test in tests if test.first <= finding.line <= test.last]
        for item in items:
            # By lines, not names: a class, a parameter or a decorator changes the name of an item, but not where its function stands.
            if not inside or first_line(item) in inside:
                item.stash.setdefault(FAULTS, []).append(text)
    return told


def _names(path: Path, items: Sequence[pytest.Item]) -> dict[str, Any]:
    """The global names of a file, as far as it was imported."""
    for item in items:
        if isinstance(item, pytest.Function):
            return dict(vars(item.module))
    # Looked up rather than imported: importing a file that pytest left out would run it.
    module = next((one for one in list(sys.modules.values()) if getattr(one, "__file__", None) == str(path)), None)
    return dict(vars(module)) if module is not None else {}


def _asked(config: pytest.Config) -> list[Path]:
    """The directories and whole files that pytest was asked for."""
    found: list[Path] = []
    for argument in config.args:
        path = config.invocation_params.dir / argument
        if not path.exists() and config.getoption("pyargs", False) and (spec := importlib.util.find_spec(argument)):
            path = Path(spec.submodule_search_locations[0] if spec.submodule_search_locations else spec.origin or path)
        if path.exists():
            found.append(path.resolve())
    return found
