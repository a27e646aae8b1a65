"""What `conform --help` says, the version, and what the shell completes."""

from __future__ import annotations

import importlib.metadata
import re
from typing import TYPE_CHECKING, Any

import pytest
import typer.main
from typer.testing import CliRunner

from harness import capabilities
from harness.cli import completion
from harness.cli.app import app
from harness.identity import TestId

if TYPE_CHECKING:
    from collections.abc import Iterator


def walk(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from walk(below, (*path, name))


COMMANDS = dict(walk(typer.main.get_command(app)))


def shown(path: tuple[str, ...]) -> str:
    result = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "80", "NO_COLOR": "1"})
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


@pytest.mark.parametrize("path", COMMANDS, ids="-".join)
def test_no_help_is_cut_and_every_option_has_one(path):
    text = shown(path)
    command = COMMANDS[path]
    assert "..." not in re.sub(r"[\]}]\.\.\.", "", text)
    for name, below in getattr(command, "commands", {}).items():
        summary = " ".join(below.help.partition("\n\n")[0].split())
        assert summary.endswith("."), name
        assert f"{name} {summary}" in text
    for parameter in command.params:
        assert parameter.help, parameter.name
        assert " ".join(parameter.help.split()) in text
    assert not re.search(r"<[^>]*>", text), "a type in place of a word for what is meant"


def test_the_exit_statuses_are_told():
    text = shown(())
    assert "2 if the account is incomplete (usage, environment, interrupted, nothing selected, a problem), else 1 if a verdict" in text
    assert "what was expected, else 0." in text


def test_the_version_is_that_of_the_package():
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"actor-conformance {importlib.metadata.version('actor-conformance')}\n")


def test_suites_and_tests_that_are_offered_are_those_of_the_corpus(collected):
    ids = [TestId.parse(event["id"]) for event in collected]
    assert set(completion.suites()) == {one.suite for one in ids}
    # Parameters of a test are part of its name, which no reading of the source tells.
    plain = {one.test.partition("(")[0] for one in ids}
    assert set(completion.tests()) - plain == set()
    assert len(completion.tests()) > len(plain) / 2


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("conform run --encoding js", ["json"]),
        ("conform run --encoding json,c", ["json,cbor"]),
        ("conform gate --suite actor-sleep-d", ["actor-sleep-db"]),
        ("conform run --target reference-", ["reference-process"]),
        ("conform run --capabilities metrics,overl", ["metrics,overload"]),
        ("conform flake --lane t", ["timing"]),
        ("conform list --only actor-vars::test_static_vars", ["actor-vars::test_static_vars_are_available"]),
    ],
)
def test_the_shell_completes_names(words, offered):
    environment = {"_CONFORM_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    result = CliRunner().invoke(app, [], prog_name="conform", env=environment)
    assert result.output.split() == offered


def test_all_capabilities_are_offered():
    assert set(completion.capability_names()) == {"all", *capabilities.KNOWN}
