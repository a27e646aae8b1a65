"""`conform list`: what the corpus holds."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

import typer
from rich.table import Table

from harness.cli import options
from harness.cli.console import out
from harness.cli.expand import expanded
from harness.errors import HarnessError
from harness.identity import TestId
from harness.run import hosted_actors, runner
from harness.targets import TargetOptions


@expanded
def command(
    what: options.Selection,
    tests: Annotated[bool, typer.Option("--tests", help="one line per test, with what it checks")] = False,
    requirements: Annotated[bool, typer.Option("--requirements", help="one line per requirement, with its tests")] = False,
    fixtures: Annotated[bool, typer.Option("--fixtures", help="one line per suite, with the fixture actors it needs")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object per test and variant")] = False,
) -> None:
    """List suites, tests, or requirements with the tests that check them; nothing is run."""
    # The reference target, as one is needed to collect; what is listed does not depend on it.
    request = options.build_request(TargetOptions(), what, options.Conditions())
    events = asyncio.run(runner.collect(request))
    problems = [event["text"] for event in events if event["event"] == "problem"]
    if problems:
        raise HarnessError("the corpus could not be collected:\n" + "\n".join(problems))
    if fixtures:
        # By the collected tests, so that `-k` and `--only` narrow this list as they do the others.
        chosen = {event["suite"] for event in events}
        for name, actors in hosted_actors.by_suite(request.corpus).items():
            if name in chosen:
                out.print(f"{name}  {', '.join(actors)}", markup=False, soft_wrap=True)
    elif as_json:
        for event in events:
            out.print(json.dumps(event), markup=False, soft_wrap=True)
    elif requirements:
        _requirements(events)
    elif tests:
        _tests(events)
    else:
        _suites(events)


def _suites(events: list[dict[str, Any]]) -> None:
    shown = Table("suite", "tests", "with variants", "requirements", "timing")
    by_suite: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        by_suite.setdefault(event["suite"], []).append(event)
    for name, some in sorted(by_suite.items()):
        distinct = {TestId.parse(event["id"]).test for event in some}
        ids = {one for event in some for one in event["requirements"]}
        shown.add_row(name, str(len(distinct)), str(len(some)), str(len(ids)), "timing" if any(event["timing"] for event in some) else "")
    out.print(shown)
    ids = {one for event in events for one in event["requirements"]}
    out.print(f"{len({TestId.parse(event['id']).test for event in events})} tests, {len(events)} with variants, {len(ids)} requirements")


def _tests(events: list[dict[str, Any]]) -> None:
    by_test: dict[str, dict[str, Any]] = {TestId.parse(event["id"]).test: event for event in events}
    for name, event in sorted(by_test.items()):
        out.print(f"{name}  [{', '.join(event['requirements'])}]  {event['doc'].splitlines()[0] if event['doc'] else ''}", markup=False)


def _requirements(events: list[dict[str, Any]]) -> None:
    by_requirement: dict[str, set[str]] = {}
    for event in events:
        for one in event["requirements"]:
            by_requirement.setdefault(one, set()).add(TestId.parse(event["id"]).test)
    for one, names in sorted(by_requirement.items()):
        out.print(f"{one}  {', '.join(sorted(names))}", markup=False)
