"""`conform run`: run the corpus and report."""

from __future__ import annotations

import asyncio

import typer

from harness.cli import options, summary
from harness.cli.progress import RunProgress
from harness.run import eventlog, junit, runner
from harness.run.request import RunRequest
from harness.run.results import RunReport


def command(
    target: options.TargetOption = "reference",
    namespace: options.NamespaceOption = "default",
    pool: options.PoolOption = "default",
    token: options.TokenOption = None,
    target_name: options.TargetNameOption = None,
    capabilities: options.CapabilitiesOption = None,
    time_scale: options.TimeScaleOption = None,
    time: options.TimeOption = None,
    encoding: options.EncodingOption = None,
    storage: options.StorageOption = None,
    suite: options.SuiteOption = None,
    keyword: options.KeywordOption = None,
    corpus: options.CorpusOption = None,
    lane: options.LaneOption = "all",
    jobs: options.JobsOption = None,
    rerun: options.RerunOption = 0,
    only: options.OnlyOption = None,
    seed: options.SeedOption = 0,
    evidence: options.EvidenceOption = options.EVIDENCE,
    junit_file: options.JUnitOption = None,
    events: options.EventsOption = None,
    timelines: options.TimelinesOption = False,
    shard: options.ShardOption = "1/1",
    durations: options.DurationsOption = None,
) -> None:
    """Run the corpus against a target; every test that is not a pass or a skip makes the status 1."""
    about = options.build_target(target, namespace, pool, token, target_name, capabilities, time_scale)
    request = options.build_request(
        about, time, encoding, storage, suite, keyword, rerun, jobs, corpus, lane, only, seed, evidence, timelines, shard, durations
    )
    report = execute(request)
    write(report, junit_file, events)
    summary.show(report, request)
    raise typer.Exit(report.status)


def execute(request: RunRequest) -> RunReport:
    """Run with progress shown."""
    with RunProgress(f"{request.target.spec}, {request.time} time") as progress:
        return asyncio.run(runner.run(request, progress.event))


def write(report: RunReport, junit_file: options.JUnitOption, events: options.EventsOption) -> None:
    """Write the files asked for."""
    if junit_file is not None:
        junit.write(junit_file, report)
    if events is not None:
        eventlog.write(events, report)
