"""What several sub-commands ask for, as values: `expanded` commands take these dataclasses, and their fields are the options."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import flags
from harness.events.results import RunReport
from harness.junit import Duplicates
from harness.ledger import store
from harness.ledger.excuse import Excuse
from harness.ledger.model import EntryClass
from harness.run import last_failed, results_of_others
from harness.run.request import RunRequest, default_jobs
from harness.session.settings import check_lane, split, storages, time_mode
from harness.shards.split import parse
from harness.standard_corpus import standard_corpus
from harness.targets import TargetOptions, file, resolve
from harness.testing.marks import select_encodings
from harness.text import utf8

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.identity import TestId

EVIDENCE = Path("artifacts/evidence")


@dataclass(frozen=True, slots=True)
class Reach:
    """How a target that is reached by URL or started by a command is spoken to."""

    namespace: flags.NamespaceOption = "default"
    pool: flags.PoolOption = "default"
    token: flags.TokenOption = None
    target_name: flags.TargetNameOption = None
    capabilities: flags.CapabilitiesOption = None
    time_scale: flags.TimeScaleOption = None
    profile: flags.ProfileOption = None

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

    target: flags.TargetOption = "reference"
    # In a dataclass of its own because `conform replay` takes a target from its bundle, but the way to reach it from here.
    reach: Reach = Reach()

    def options(self) -> TargetOptions:
        """The target as asked for."""
        return self.reach.options(self.target)


@dataclass(frozen=True, slots=True)
# Two classes, `Matrix` and `Selection`: a ledger may only be written from whole suites, so its commands do not offer the rest.
class Matrix:
    """Whole suites of a corpus, in which variants."""

    encoding: flags.EncodingOption = None
    storage: flags.StorageOption = None
    suite: flags.SuiteOption = None
    corpus: flags.CorpusOption = None

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

    keyword: flags.KeywordOption = None
    only: flags.OnlyOption = None
    lane: flags.LaneOption = "all"
    shard: flags.ShardOption = "1/1"
    durations: flags.DurationsOption = None

    def applied(self, request: RunRequest) -> RunRequest:
        """The request, for these tests.

        Raises:
            UsageError: as `Matrix.applied`, or there is no such lane or share.
        """
        # The corpus' own durations, unless others are given: every machine must come to the same shares by itself.
        known = request.corpus / "durations.toml"
        return replace(
            Matrix.applied(self, request),
            keyword=self.keyword,
            only=tuple(self.only or ()),
            lane=check_lane(self.lane),
            part=parse(self.shard),
            durations=self.durations.resolve() if self.durations is not None else known if known.is_file() else None,
        )


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under which conditions tests run."""

    time: flags.TimeOption = None
    seed: flags.SeedOption = 0
    evidence: flags.EvidenceOption = EVIDENCE
    restart_target: flags.RestartOption = False

    def applied(self, request: RunRequest) -> RunRequest:
        """The request, under these conditions.

        Raises:
            UsageError: the target cannot run in this time.
        """
        # Settled here, once: a later part would otherwise decide by itself whether a run without `--time` is virtual.
        mode = time_mode(resolve(request.target), self.time)
        return replace(request, time=mode, seed=self.seed, evidence=self.evidence.resolve(), restart_target=self.restart_target)


@dataclass(frozen=True, slots=True)
class Effort(Conditions):
    """How much is done in one run, and what is kept of it."""

    jobs: flags.JobsOption = None
    rerun: flags.RerunOption = 0
    timelines: flags.TimelinesOption = False

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

    failed: flags.FailedOption = False
    maxfail: flags.MaxFailOption = None
    first: flags.FirstOption = False

    def applied(self, request: RunRequest) -> RunRequest:
        """The request, for what was bad last time if that is asked for.

        Raises:
            UsageError: nothing is known of a last time, or nothing was bad.
        """
        # Last of all, when selection and variants are known: what failed before counts only as far as this run holds it.
        return replace(request, only=last_failed.failed(target_name(request.target), request)) if self.failed else request

    @property
    def most_bad(self) -> int | None:
        """How many bad verdicts end the run; None for any number."""
        return 1 if self.first else self.maxfail


@dataclass(frozen=True, slots=True)
class Outputs:
    """The files a run leaves."""

    junit_file: flags.JUnitOption = None
    events: flags.EventsOption = None


@dataclass(frozen=True, slots=True)
class Results:
    """Results that something else produced."""

    results_in: flags.ResultsInOption = None
    duplicates: flags.DuplicatesOption = Duplicates.ERROR

    def read(self) -> RunReport | None:
        """The report of the files; None when there are none, and the corpus is to be run.

        Raises:
            UsageError: a file cannot be read.
        """
        return results_of_others.read(self.results_in, self.duplicates) if self.results_in else None


@dataclass(frozen=True, slots=True)
class LedgerChoice:
    """Which ledger is looked at."""

    ledger: flags.LedgerOption = None
    baselines: flags.BaselinesOption = None

    def path(self, target: TargetOptions) -> Path:
        """The ledger of a target; that of a target file is called as the file says, and is in `baselines` beside it."""
        return self.ledger or ledger_place(target, self.baselines)

    def readable(self, target: TargetOptions) -> Path:
        """The same to be read only: the one that comes with the harness when there is none."""
        # Two ways to a ledger, as the one that comes with the harness is read by everybody and written by nobody.
        return self.ledger or store.readable(ledger_place(target, self.baselines))


@dataclass(frozen=True, slots=True)
class Reasons:
    """What a person says about a change of the ledger: no command invents a reason."""

    reason: flags.ReasonOption = None
    link: flags.LinkOption = None
    review_by: flags.ReviewByOption = None
    kind: flags.ClassOption = EntryClass.FAILS
    gone: flags.GoneOption = None

    def excuse(self, measured: Mapping[TestId, tuple[int, int]]) -> Excuse | None:
        """The excuse of tests that newly fail or skip; None unless everything was said that an entry needs."""
        if not (self.reason and self.link and self.review_by):
            return None
        return Excuse(utf8(self.reason), utf8(self.link), self.review_by.date(), self.kind, measured)

    @property
    def gone_for(self) -> str | None:
        """Why tests vanished, if somebody said it."""
        return utf8(self.gone) if self.gone else None


@dataclass(frozen=True, slots=True)
class Writing:
    """Whether a change that was shown is written."""

    dry_run: flags.DryRunOption = False
    yes: flags.YesOption = False


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
