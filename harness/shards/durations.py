"""How long suites took, from a `durations.toml` beside a corpus or from the events of a run.

`python -m harness.shards.durations EVENTS...` prints the durations of runs as TOML, for the `durations.toml` of a corpus.
"""

from __future__ import annotations

import sys
import tomllib
from collections import defaultdict
from pathlib import Path

import tomli_w

from harness.errors import UsageError
from harness.events import stream


def load(path: Path) -> dict[str, float]:
    """Seconds per suite, from a `durations.toml` or from the event stream of a run.

    Raises:
        UsageError: the file is neither.
    """
    # A stream of any run will do: who has no `durations.toml` balances by the run of yesterday.
    if path.suffix != ".toml":
        taken: defaultdict[str, float] = defaultdict(float)
        for result in stream.read(path).results:
            taken[result.id.suite] += result.seconds
        return dict(taken)
    try:
        with path.open("rb") as file:
            found = tomllib.load(file)["seconds"]
        return {str(suite): float(took) for suite, took in found.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} has no durations: {error!r}; expected a table [seconds] of suites, or an event stream") from error


def main(paths: list[str]) -> None:
    """Print the durations of the runs, added up."""
    total: defaultdict[str, float] = defaultdict(float)
    for path in paths:
        for suite, took in load(Path(path)).items():
            total[suite] += took
    sys.stdout.write(tomli_w.dumps({"seconds": {suite: round(took, 2) for suite, took in sorted(total.items())}}))


if __name__ == "__main__":
    main(sys.argv[1:])
