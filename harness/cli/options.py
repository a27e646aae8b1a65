"""Options that several sub-commands share, and the request they make."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.ledger import store
from harness.marks import ENCODINGS, check_encodings
from harness.masking import VARIABLE
from harness.run import shards
from harness.run.request import RunRequest, default_jobs, standard_corpus
from harness.settings import check_lane, split, storages, time_mode
from harness.targets import SPECS, TargetOptions, TimeMode, file, resolve

TARGET = "Target"
SELECTION = "Selection"

TargetOption = Annotated[str, typer.Option("--target", help=SPECS, rich_help_panel=TARGET)]
NamespaceOption = Annotated[str, typer.Option(help="namespace at a URL target", rich_help_panel=TARGET)]
PoolOption = Annotated[str, typer.Option(help="pool at a URL target", rich_help_panel=TARGET)]
TokenOption = Annotated[
    str | None,
    typer.Option(help="token for a URL target; ps shows it to others, the variable it does not", envvar=VARIABLE, rich_help_panel=TARGET),
]
TargetNameOption = Annotated[str | None, typer.Option(help="name of a URL target and of its ledger", rich_help_panel=TARGET)]
CapabilitiesOption = Annotated[str | None, typer.Option(help="capabilities of a URL target, or all", rich_help_panel=TARGET)]
TimeScaleOption = Annotated[float | None, typer.Option(help="factor on every time limit of a URL target", rich_help_panel=TARGET)]
TimeOption = Annotated[str | None, typer.Option("--time", help="virtual or real; default: the target's own", rich_help_panel=TARGET)]
EncodingOption = Annotated[list[str] | None, typer.Option(help="json, cbor, bare; repeat or separate by commas", rich_help_panel=SELECTION)]
StorageOption = Annotated[list[str] | None, typer.Option(help="storage; repeat or separate by commas", rich_help_panel=SELECTION)]
SuiteOption = Annotated[list[str] | None, typer.Option(help="suite; repeat or separate by commas", rich_help_panel=SELECTION)]
KeywordOption = Annotated[str | None, typer.Option("-k", help="only tests matching this pytest expression", rich_help_panel=SELECTION)]
CorpusOption = Annotated[Path | None, typer.Option(help="directory of another corpus", rich_help_panel=SELECTION)]
LaneOption = Annotated[str, typer.Option(help="all, parallel (no timing suites) or timing (only those)", rich_help_panel=SELECTION)]
JobsOption = Annotated[int | None, typer.Option(help="workers for non-timing suites; default: one per processor, at most 4", min=1)]
RerunOption = Annotated[int, typer.Option("--rerun", help="repeat failing tests up to this often; a pass then is flaky", min=0)]
JUnitOption = Annotated[Path | None, typer.Option("--junit", help="write JUnit XML here")]
EventsOption = Annotated[Path | None, typer.Option("--events", help="write the events of the run here, as NDJSON")]
OnlyOption = Annotated[list[str] | None, typer.Option("--only", help="only this test: suite::test; repeat", rich_help_panel=SELECTION)]
SeedOption = Annotated[int, typer.Option(help="seed of everything random in tests and client", min=0)]
EvidenceOption = Annotated[Path, typer.Option(help="where each failure leaves its bundle")]
TimelinesOption = Annotated[bool, typer.Option("--timelines", help="record a timeline of every test, not only of those that do not pass")]
ShardOption = Annotated[str, typer.Option("--shard", help="run share I of N of the suites, such as 1/3", rich_help_panel=SELECTION)]
DurationsOption = Annotated[
    Path | None, typer.Option(help="balance shards by this durations.toml or event stream", rich_help_panel=SELECTION)
]
EVIDENCE = Path("artifacts/evidence")
BaselinesOption = Annotated[Path | None, typer.Option(help="directory of the ledgers; default: ./baselines")]


def build_target(
    spec: str, namespace: str, pool: str, token: str | None, name: str | None, capabilities: str | None, time_scale: float | None
) -> TargetOptions:
    """The target as asked for."""
    return TargetOptions(
        spec=spec, namespace=namespace, pool=pool, token=token, name=name, capabilities=capabilities, time_scale=time_scale
    )


def build_request(
    target: TargetOptions,
    time: str | None,
    encoding: list[str] | None,
    storage: list[str] | None,
    suite: list[str] | None,
    keyword: str | None = None,
    reruns: int = 0,
    jobs: int | None = None,
    corpus: Path | None = None,
    lane: str = "all",
    only: list[str] | None = None,
    seed: int = 0,
    evidence: Path | None = None,
    timelines: bool = False,
    shard: str = "1/1",
    durations: Path | None = None,
) -> RunRequest:
    """The run as asked for, checked against the target before any worker starts.

    Raises:
        UsageError: something makes no sense for this target.
    """
    resolved = resolve(target)
    mode: TimeMode = time_mode(resolved, time)
    place = (corpus or standard_corpus()).resolve()
    known = place / "durations.toml"
    return RunRequest(
        target=target,
        time=mode,
        encodings=check_encodings(many(encoding) or ENCODINGS),
        storages=storages(resolved, many(storage)),
        suites=many(suite),
        keyword=keyword,
        reruns=reruns,
        jobs=jobs or default_jobs(),
        corpus=place,
        lane=check_lane(lane),
        only=tuple(only or ()),
        seed=seed,
        evidence=evidence.resolve() if evidence is not None else None,
        timelines=timelines,
        part=shards.parse(shard),
        durations=durations.resolve() if durations is not None else known if known.is_file() else None,
    )


def ledger_place(target: TargetOptions, baselines: Path | None) -> Path:
    """The ledger of a target; that of a target file is called as the file says, and is in `baselines` beside it."""
    if target.spec.endswith(file.SUFFIX):
        path = Path(target.spec)
        return store.place(target.name or file.load(path).name, baselines or path.parent / "baselines")
    return store.place(target.name or resolve(target).name, baselines)


def many(values: list[str] | None) -> tuple[str, ...]:
    """An option that may be repeated or hold commas."""
    return tuple(dict.fromkeys(part for value in values or [] for part in split(value)))
