"""What every lane's pytest is told, however the lane is started."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.run.lanes.lane import Lane
    from harness.run.request import RunRequest

INI = Path(__file__).with_name("corpus.ini")
# Named one by one with autoload switched off: what else is installed beside the suite must not change a verdict.
PLUGINS = ("pytest_asyncio.plugin", "pytest_timeout", "pytest_rerunfailures", "harness.plugin")


def pytest_arguments(request: RunRequest, lane: Lane) -> list[str]:
    """The arguments of one lane, without where its events go."""
    corpus = request.corpus
    return [
        *(part for plugin in PLUGINS for part in ("-p", plugin)),
        f"-c={INI}",
        f"--rootdir={corpus.parent}",
        f"--confcutdir={corpus}",
        # A corpus that is a package imports its own helpers by name; one that is a plain directory needs no unique module names.
        "--import-mode=importlib" if not (corpus / "__init__.py").exists() else "--import-mode=prepend",
        "-q",
        "--no-header",
        "-p",
        # Nothing is written beside the corpus, which may be installed read-only; `--failed` keeps a record of its own.
        "no:cacheprovider",
        *request.arguments(),
        f"--lane={lane.lane}",
        f"--shard={lane.shard[0]}/{lane.shard[1]}",
        *lane.extra,
        str(corpus),
    ]
