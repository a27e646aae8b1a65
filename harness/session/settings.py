"""What one session was asked to do, from the pytest options of the plug-in; the same options serve `conform` and plain `pytest`."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.did_you_mean import named
from harness.errors import UsageError
from harness.identity import ANY, Variant
from harness.masking import VARIABLE
from harness.shards.split import WHOLE, parse
from harness.targets import SPECS, Target, TargetOptions, TimeMode, resolve
from harness.testing.marks import ENCODINGS, select_encodings

if TYPE_CHECKING:
    from collections.abc import Collection

    import pytest

LANES = ("all", "parallel", "timing")
OPTIONS = (
    ("--target", "reference", SPECS),
    ("--namespace", "default", "namespace at a URL target"),
    ("--pool", "default", "pool at a URL target"),
    ("--token", None, f"token for a URL target; others see it in the list of processes, so rather set {VARIABLE}"),
    ("--target-name", None, "name of a URL target, also of its ledger"),
    ("--capabilities", None, "comma-separated capabilities of a URL target, or 'all'"),
    ("--time-scale", None, "factor on every time limit of a URL target"),
    ("--profile", None, "requirement profile of a URL target: peer-2.3 or seed"),
    ("--time", None, "virtual or real; the default is the target's own"),
    ("--encoding", None, "comma-separated encodings: json, cbor, bare (default: all); any: only the tests without one"),
    ("--storage", None, "comma-separated storages of the target (default: its first)"),
    ("--suite", None, "comma-separated suites (default: all)"),
    ("--lane", "all", "all, parallel (no timing suites) or timing (only those)"),
    ("--shard", "0/1", "every COUNT-th test of the selection, INDEX counted from 0: how lanes share; for suites see --part"),
    ("--part", "1/1", "share NUMBER/COUNT of the suites, counted from 1, balanced by duration: `conform run --shard`"),
    ("--part-durations", None, "how long suites take: a durations.toml or an event stream"),
    ("--behind", "0", "leave out the first so many tests of this session's share: where a worker that died goes on"),
    ("--shuffle", None, "run the tests in the random order of this seed"),
    ("--repeat", "1", "run every test this often, one after the other, on the same target"),
    ("--seed", "0", "seed of everything random in the tests and in the client"),
    ("--evidence", None, "write a bundle per failure into this directory"),
    ("--events", None, "write the session's events to this file as NDJSON"),
)

_TIMELINES = "--timelines"
_RESTART = "--restart-target"


def add_options(parser: pytest.Parser) -> None:
    """Declare the plug-in's options."""
    group = parser.getgroup("conform", "conformance of actor runtimes")
    for flag, default, text in OPTIONS:
        group.addoption(flag, dest=_dest(flag), default=default, help=text)
    group.addoption(_TIMELINES, dest=_dest(_TIMELINES), action="store_true", help="put the timeline of every test into its event")
    group.addoption(_RESTART, dest=_dest(_RESTART), action="store_true", help="start a target that died again, and go on")
    group.addoption("--only", dest=_dest("--only"), action="append", help="only this test, suite::test or suite::test[variant]; repeat")


@dataclass(frozen=True, slots=True)
class Settings:
    """One session: target, time, matrix and selection."""

    target: TargetOptions = field(default_factory=TargetOptions)
    time: TimeMode = TimeMode.VIRTUAL
    encodings: tuple[str, ...] = ENCODINGS
    storages: tuple[str, ...] = ("memory",)
    suites: tuple[str, ...] = ()
    lane: str = "all"
    shard: tuple[int, int] = (0, 1)
    events: Path | None = None
    only: frozenset[str] = frozenset()
    seed: int = 0
    shuffle: int | None = None
    repeat: int = 1
    evidence: Path | None = None
    timelines: bool = False
    part: tuple[int, int] = WHOLE
    durations: Path | None = None
    behind: int = 0
    restart_target: bool = False

    def variants(self, allowed: Collection[str]) -> list[Variant]:
        """The columns of the matrix for a test with these encodings (none: all of them), in their fixed order."""
        # What has no encoding belongs to every selection, so that the gate of one encoding looks at it too.
        chosen = [ANY] if ANY in allowed else [one for one in self.encodings if one != ANY and (not allowed or one in allowed)]
        return [Variant(encoding, storage) for storage in self.storages for encoding in chosen]


def from_config(config: pytest.Config) -> tuple[Settings, Target]:
    """Read and check the options of a pytest session.

    Raises:
        UsageError: an option makes no sense for this target.
    """

    def get(flag: str) -> str | None:
        value: str | None = config.getoption(_dest(flag))
        return value

    scale = get("--time-scale")
    options = TargetOptions(
        spec=get("--target") or "reference",
        namespace=get("--namespace") or "default",
        pool=get("--pool") or "default",
        token=get("--token") or os.environ.get(VARIABLE) or None,
        name=get("--target-name"),
        capabilities=get("--capabilities"),
        time_scale=_number("--time-scale", scale) if scale else None,
        profile=get("--profile"),
    )
    target = resolve(options)
    events, evidence, durations = get("--events"), get("--evidence"), get("--part-durations")
    return Settings(
        target=options,
        time=time_mode(target, get("--time")),
        encodings=select_encodings(split(get("--encoding"))),
        storages=storages(target, split(get("--storage"))),
        suites=split(get("--suite")),
        lane=check_lane(get("--lane") or "all"),
        shard=_shard(get("--shard") or "0/1"),
        events=Path(events) if events else None,
        only=frozenset(config.getoption(_dest("--only")) or ()),
        seed=int(_number("--seed", get("--seed") or "0")),
        shuffle=int(_number("--shuffle", shuffle)) if (shuffle := get("--shuffle")) else None,
        repeat=max(1, int(_number("--repeat", get("--repeat") or "1"))),
        evidence=Path(evidence) if evidence else None,
        part=parse(get("--part") or "1/1", "--part"),
        durations=Path(durations) if durations else None,
        timelines=bool(config.getoption(_dest(_TIMELINES))),
        behind=int(_number("--behind", get("--behind") or "0")),
        restart_target=bool(config.getoption(_dest(_RESTART))),
    ), target


def split(text: str | None) -> tuple[str, ...]:
    """The parts of a comma-separated option."""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def time_mode(target: Target, asked: str | None) -> TimeMode:
    """The mode asked for, or the target's default.

    Raises:
        UsageError: the target cannot run in it.
    """
    if asked is None:
        return target.time_modes[0]
    if asked not in [mode.value for mode in target.time_modes]:
        known = ", ".join(mode.value for mode in target.time_modes)
        raise UsageError(f"target {target.name} cannot run in {asked!r} time; it can in: {known}")
    return TimeMode(asked)


def check_lane(lane: str) -> str:
    """The lane, when there is such a one.

    Raises:
        UsageError: there is not.
    """
    if lane not in LANES:
        raise UsageError(f"no lane {named([lane], LANES)}; there are: {', '.join(LANES)}")
    return lane


def storages(target: Target, asked: tuple[str, ...]) -> tuple[str, ...]:
    """The storages asked for, or the target's default.

    Raises:
        UsageError: the target has no such storage.
    """
    unknown = [one for one in asked if one not in target.storages]
    if unknown:
        raise UsageError(f"target {target.name} has no storage {named(unknown, target.storages)}; it has {', '.join(target.storages)}")
    return asked or target.storages[:1]


def _shard(text: str) -> tuple[int, int]:
    try:
        index, count = (int(part) for part in text.split("/"))
    except ValueError:
        raise UsageError(f"--shard {text!r}: use index/count, such as 0/4") from None
    if not 0 <= index < count:
        raise UsageError(f"--shard {text!r}: the index counts from 0 and is less than the count")
    return index, count


def _number(flag: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{flag} {text!r} is not a number") from None


def _dest(flag: str) -> str:
    return "conform_" + flag.removeprefix("--").replace("-", "_")
