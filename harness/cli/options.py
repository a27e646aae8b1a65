"""What several sub-commands ask for, as values: `expanded` commands take these dataclasses, and their fields are the options."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from harness.junit import Duplicates
from harness.ledger import store
from harness.marks import select_encodings
from harness.masking import VARIABLE
from harness.run import intake, last, shards
from harness.run.request import RunRequest, default_jobs, standard_corpus
from harness.run.results import RunReport
from harness.settings import check_lane, split, storages, time_mode
from harness.targets import SPECS, TargetOptions, file, resolve

TARGET = "Target"
SELECTION = "Selection"
EVIDENCE = Path("artifacts/evidence")

TargetOption = Annotated[str, typer.Option(metavar="TARGET", help=SPECS, rich_help_panel=TARGET)]
NamespaceOption = Annotated[str, typer.Option(metavar="NAME", help="namespace at a URL target", rich_help_panel=TARGET)]
PoolOption = Annotated[str, typer.Option(metavar="NAME", help="pool at a URL target", rich_help_panel=TARGET)]
TokenOption = Annotated[
    str | None,
    typer.Option(
        metavar="TOKEN",
        help="token for a URL target; ps shows it to others, the variable it does not",
        envvar=VARIABLE,
        rich_help_panel=TARGET,
    ),
]
TargetNameOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="name of a URL target and of its ledger", rich_help_panel=TARGET)
]
CapabilitiesOption = Annotated[
    str | None, typer.Option(metavar="NAMES", help="capabilities of a URL target, or all", rich_help_panel=TARGET)
]
TimeScaleOption = Annotated[
    float | None, typer.Option(metavar="FACTOR", help="factor on every time limit of a URL target", rich_help_panel=TARGET)
]
ProfileOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="frozen set a URL target promises: peer-2.3 or seed", rich_help_panel=TARGET)
]
TimeOption = Annotated[str | None, typer.Option(metavar="MODE", help="virtual or real; default: the target's own", rich_help_panel=TARGET)]
EncodingOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAMES", help="json, cbor, bare; any: only tests without one", rich_help_panel=SELECTION),
]
StorageOption = Annotated[
    list[str] | None, typer.Option(metavar="NAMES", help="storage; repeat or separate by commas", rich_help_panel=SELECTION)
]
SuiteOption = Annotated[
    list[str] | None, typer.Option(metavar="NAMES", help="suite; repeat or separate by commas", rich_help_panel=SELECTION)
]
KeywordOption = Annotated[
    str | None, typer.Option("-k", metavar="EXPRESSION", help="only tests matching this pytest expression", rich_help_panel=SELECTION)
]
OnlyOption = Annotated[
    list[str] | None, typer.Option(metavar="TEST", help="only this test: suite::test; repeat", rich_help_panel=SELECTION)
]
CorpusOption = Annotated[Path | None, typer.Option(metavar="DIR", help="directory of another corpus", rich_help_panel=SELECTION)]
LaneOption = Annotated[
    str, typer.Option(metavar="LANE", help="all, parallel (no timing suites) or timing (only those)", rich_help_panel=SELECTION)
]
ShardOption = Annotated[str, typer.Option(metavar="I/N", help="run share I of N of the suites, such as 1/3", rich_help_panel=SELECTION)]
DurationsOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="balance shards by this durations.toml or event stream", rich_help_panel=SELECTION)
]
JobsOption = Annotated[
    int | None, typer.Option(metavar="N", help="workers for non-timing suites; default: one per processor, at most 4", min=1)
]
RerunOption = Annotated[int, typer.Option(metavar="N", help="repeat failing tests up to this often; a pass then is flaky", min=0)]
SeedOption = Annotated[int, typer.Option(metavar="N", help="seed of everything random in tests and client", min=0)]
RestartOption = Annotated[
    bool, typer.Option("--restart-target", help="start a target that died again and go on, instead of blocking the rest")
]
EvidenceOption = Annotated[Path, typer.Option(metavar="DIR", help="where each failure leaves its bundle")]
TimelinesOption = Annotated[bool, typer.Option("--timelines", help="record a timeline of every test, not only of those that do not pass")]
MaxFailOption = Annotated[int | None, typer.Option(metavar="N", help="end the run after N bad verdicts", min=1)]
FirstOption = Annotated[bool, typer.Option("-x", help="end the run after the first bad verdict: --maxfail 1")]
FailedOption = Annotated[bool, typer.Option("--failed", help="only the tests that were bad last time", rich_help_panel=SELECTION)]
JUnitOption = Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="write JUnit XML here")]
EventsOption = Annotated[Path | None, typer.Option("--events", metavar="FILE", help="write the events of the run here, as NDJSON")]
ResultsInOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--junit-in",
        "--events-in",
        metavar="FILE",
        help="read this JUnit file or event stream instead of running; repeat to merge",
    ),
]
DuplicatesOption = Annotated[
    Duplicates,
    typer.Option(help="what JUnit cases of one name are: an error, attempts of one test (flaky if they differ), or told apart by position"),
]
LedgerOption = Annotated[Path | None, typer.Option(metavar="FILE", help="ledger file; default: baselines/<target>.toml")]
BaselinesOption = Annotated[Path | None, typer.Option(metavar="DIR", help="directory of the ledgers; default: ./baselines")]


@dataclass(frozen=True, slots=True)
class Reach:
    """How a target that is reached by URL or started by a command is spoken to."""

    namespace: NamespaceOption = "default"
    pool: PoolOption = "default"
    token: TokenOption = None
    target_name: TargetNameOption = None
    capabilities: CapabilitiesOption = None
    time_scale: TimeScaleOption = None
    profile: ProfileOption = None

    def options(self, spec: str) -> TargetOptions:
        """The target that `spec` names, reached like this."""
        return TargetOptions(
            spec=spec,
            namespace=self.namespace,
            pool=self.pool,
            token=self.token,
            name=self.target_name,
            capabilities=self.capabilities,
            time_scale=self.time_scale,
            profile=self.profile,
        )


@dataclass(frozen=True, slots=True)
class TargetChoice:
    """Which runtime is judged."""

    target: TargetOption = "reference"
    reach: Reach = Reach()

    def options(self) -> TargetOptions:
        """The target as asked for."""
        return self.reach.options(self.target)


@dataclass(frozen=True, slots=True)
class Matrix:
    """Whole suites of a corpus, in which variants."""

    encoding: EncodingOption = None
    storage: StorageOption = None
    suite: SuiteOption = None
    corpus: CorpusOption = None

    def applied(self, request: RunRequest) -> RunRequest:
        """The request, for these suites and variants.

        Raises:
            UsageError: there is no such encoding, or the target has no such storage.
        """
        return replace(
            request,
            encodings=select_encodings(many(self.encoding)),
            storages=storages(resolve(request.target), many(self.storage)),
            suites=many(self.suite),
        )


@dataclass(frozen=True, slots=True)
class Selection(Matrix):
    """Any tests of a corpus, in which variants."""

    keyword: KeywordOption = None
    only: OnlyOption = None
    lane: LaneOption = "all"
    shard: ShardOption = "1/1"
    durations: DurationsOption = None

    def applied(self, request: RunRequest) -> RunRequest:
        """The request, for these tests.

        Raises:
            UsageError: as `Matrix.applied`, or there is no such lane or share.
        """
        known = request.corpus / "durations.toml"
        return replace(
            Matrix.applied(self, request),
            keyword=self.keyword,
            only=tuple(self.only or ()),
            lane=check_lane(self.lane),
            part=shards.parse(self.shard),
            durations=self.durations.resolve() if self.durations is not None else known if known.is_file() else None,
        )


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under which conditions tests run."""

    time: TimeOption = None
    seed: SeedOption = 0
    evidence: EvidenceOption = EVIDENCE
    restart_target: RestartOption = False

    def applied(self, request: RunRequest) -> RunRequest:
        """The request, under these conditions.

        Raises:
            UsageError: the target cannot run in this time.
        """
        mode = time_mode(resolve(request.target), self.time)
        return replace(request, time=mode, seed=self.seed, evidence=self.evidence.resolve(), restart_target=self.restart_target)


@dataclass(frozen=True, slots=True)
class Effort(Conditions):
    """How much is done in one run, and what is kept of it."""

    jobs: JobsOption = None
    rerun: RerunOption = 0
    timelines: TimelinesOption = False

    def applied(self, request: RunRequest) -> RunRequest:
        """The request, with this effort.

        Raises:
            UsageError: as `Conditions.applied`.
        """
        return replace(
            Conditions.applied(self, request),
            jobs=self.jobs or default_jobs(),
            reruns=self.rerun,
            timelines=self.timelines,
        )


@dataclass(frozen=True, slots=True)
class Iteration:
    """What a person who mends failures asks for, run after run."""

    failed: FailedOption = False
    maxfail: MaxFailOption = None
    first: FirstOption = False

    def applied(self, request: RunRequest) -> RunRequest:
        """The request, for what was bad last time if that is asked for.

        Raises:
            UsageError: nothing is known of a last time, or nothing was bad.
        """
        return replace(request, only=last.failed(target_name(request.target), request)) if self.failed else request

    @property
    def most_bad(self) -> int | None:
        """How many bad verdicts end the run; None for any number."""
        return 1 if self.first else self.maxfail


@dataclass(frozen=True, slots=True)
class Outputs:
    """The files a run leaves."""

    junit_file: JUnitOption = None
    events: EventsOption = None


@dataclass(frozen=True, slots=True)
class Results:
    """Results that something else produced."""

    results_in: ResultsInOption = None
    duplicates: DuplicatesOption = Duplicates.ERROR

    def read(self) -> RunReport | None:
        """The report of the files; None when there are none, and the corpus is to be run.

        Raises:
            UsageError: a file cannot be read.
        """
        return intake.read(self.results_in, self.duplicates) if self.results_in else None


@dataclass(frozen=True, slots=True)
class LedgerChoice:
    """Which ledger is looked at."""

    ledger: LedgerOption = None
    baselines: BaselinesOption = None

    def path(self, target: TargetOptions) -> Path:
        """The ledger of a target; that of a target file is called as the file says, and is in `baselines` beside it."""
        return self.ledger or ledger_place(target, self.baselines)

    def readable(self, target: TargetOptions) -> Path:
        """The same to be read only: the one that comes with the harness when there is none."""
        return self.ledger or store.readable(ledger_place(target, self.baselines))


def build_request(target: TargetOptions, what: Matrix, how: Conditions, *, jobs: int | None = None) -> RunRequest:
    """The run as asked for, checked against the target before any worker starts.

    Raises:
        UsageError: something makes no sense for this target.
    """
    place = (what.corpus or standard_corpus()).resolve()
    request = what.applied(how.applied(RunRequest(target=target, corpus=place)))
    return request if jobs is None else replace(request, jobs=jobs)


def ledger_place(target: TargetOptions, baselines: Path | None) -> Path:
    """Where the ledger of a target is unless one is named."""
    beside = Path(target.spec).parent / "baselines" if target.spec.endswith(file.SUFFIX) else None
    return store.place(target_name(target), baselines or beside)


def target_name(target: TargetOptions) -> str:
    """The name under which things are kept of a target; that of a target file is what the file says."""
    if target.spec.endswith(file.SUFFIX):
        return target.name or file.load(Path(target.spec)).name
    return target.name or resolve(target).name


def many(values: list[str] | None) -> tuple[str, ...]:
    """An option that may be repeated or hold commas."""
    return tuple(dict.fromkeys(part for value in values or [] for part in split(value)))
