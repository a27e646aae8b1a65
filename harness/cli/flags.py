"""The options of the sub-commands, as typer reads them: name, type, help and what the shell completes."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import completion
from harness.junit import Duplicates
from harness.ledger.model import EntryClass
from harness.masking import VARIABLE
from harness.targets import SPECS

# Panels of the help: thirty options in one list are read by nobody.
TARGET = "Target"
SELECTION = "Selection"

TargetOption = Annotated[
    str, typer.Option(metavar="TARGET", autocompletion=completion.of_one(completion.targets), help=SPECS, rich_help_panel=TARGET)
]
NamespaceOption = Annotated[str, typer.Option(metavar="NAME", help="namespace at a URL target", rich_help_panel=TARGET)]
PoolOption = Annotated[str, typer.Option(metavar="NAME", help="pool at a URL target", rich_help_panel=TARGET)]
# An option although others see it in the list of processes: somebody who tries out a runtime on their own machine does not mind.
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
    str | None,
    typer.Option(
        metavar="NAMES",
        autocompletion=completion.of_list(completion.capability_names),
        help="capabilities of a URL target, or all",
        rich_help_panel=TARGET,
    ),
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
    typer.Option(
        metavar="NAMES",
        autocompletion=completion.of_list(completion.encodings),
        help="json, cbor, bare; any: only tests without one",
        rich_help_panel=SELECTION,
    ),
]
StorageOption = Annotated[
    list[str] | None, typer.Option(metavar="NAMES", help="storage; repeat or separate by commas", rich_help_panel=SELECTION)
]
SuiteOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAMES",
        autocompletion=completion.of_list(completion.suites),
        help="suite; repeat or separate by commas",
        rich_help_panel=SELECTION,
    ),
]
KeywordOption = Annotated[
    str | None, typer.Option("-k", metavar="EXPRESSION", help="only tests matching this pytest expression", rich_help_panel=SELECTION)
]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TEST",
        autocompletion=completion.of_one(completion.tests),
        help="only this test: suite::test; repeat",
        rich_help_panel=SELECTION,
    ),
]
CorpusOption = Annotated[Path | None, typer.Option(metavar="DIR", help="directory of another corpus", rich_help_panel=SELECTION)]
LaneOption = Annotated[
    str,
    typer.Option(
        metavar="LANE",
        autocompletion=completion.of_one(completion.lanes),
        help="all, parallel (no timing suites) or timing (only those)",
        rich_help_panel=SELECTION,
    ),
]
ShardOption = Annotated[
    str, typer.Option(metavar="I/N", help="share I of N of the suites, such as 1/3; pytest calls it --part", rich_help_panel=SELECTION)
]
DurationsOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="balance shards by this durations.toml or event stream", rich_help_panel=SELECTION)
]
JobsOption = Annotated[
    int | None, typer.Option(metavar="N", help="workers for non-timing suites; default: one per processor, at most 4", min=1)
]
LoopJobsOption = Annotated[int, typer.Option(metavar="N", help="loops at a time; in real time more than one disturbs timing", min=1)]
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
# Two names of one option: what a file is, is seen from its content, so that either word may stand before either kind.
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
    typer.Option(
        metavar="WHAT",
        help="what JUnit cases of one name are: an error, attempts of one test (flaky if they differ), or told apart by position",
    ),
]
LedgerOption = Annotated[Path | None, typer.Option(metavar="FILE", help="ledger file; default: baselines/TARGET.toml")]
BaselinesOption = Annotated[Path | None, typer.Option(metavar="DIR", help="directory of the ledgers; default: ./baselines")]
ReasonOption = Annotated[str | None, typer.Option(metavar="TEXT", help="why tests newly fail or skip")]
LinkOption = Annotated[str | None, typer.Option(metavar="URL", help="where that is discussed")]
ReviewByOption = Annotated[
    datetime.datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="DATE", help="until when that holds, such as 2027-01-31")
]
ClassOption = Annotated[
    EntryClass,
    typer.Option("--class", metavar="CLASS", help="class of new entries; skips become unsupported; flaky ones have to be measured"),
]
GoneOption = Annotated[str | None, typer.Option(metavar="TEXT", help="why tests or suites of the ledger are not there any more")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="only show the change")]
YesOption = Annotated[bool, typer.Option("--yes", help="write without asking; what is no terminal is never asked")]
