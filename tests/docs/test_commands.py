"""What the guides tell a reader to type exists: every sub-command and option of `conform`, every environment of tox, every module."""

from __future__ import annotations

import configparser
import re
import shlex
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
import typer.main

from harness.cli.app import app
from tests.docs.samples import ROOT, of_page, pages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMAND = typer.main.get_command(app)
INLINE = re.compile(r"`((?:\.venv/bin/)?(?:conform|tox|python -m) [^`]+)`")
ENDS = re.compile(r"[;|]|&&|>")


def lines(page: Path) -> Iterator[str]:
    """The shell lines of a page, and the commands in its sentences."""
    text = page.read_text(encoding="utf-8")
    for sample in of_page(page):
        if sample.language == "sh":
            yield from sample.code.replace("\\\n", " ").splitlines()
        text = text.replace(sample.code, "")
    text = text.replace("\\\n", " ")
    yield from re.findall(r"^ {4,}((?:\.venv/bin/)?(?:conform|tox|python -m) .+)$", text, re.MULTILINE)
    yield from INLINE.findall(text)


def calls(line: str) -> Iterator[list[str]]:
    """The commands of a line, without what is before the name of the program."""
    for part in ENDS.split(re.sub(r"(^|\s)#.*", "", line)):
        words = shlex.split(part)
        while words and re.fullmatch(r"\w+=.*", words[0]):
            del words[0]
        if words:
            yield [words[0].removeprefix(".venv/bin/"), *words[1:]]


def check(words: list[str]) -> None:
    """Raise unless the command line would be understood; nothing of it is run, and no file that it names need exist."""
    match words:
        case ["conform", *rest]:
            command: Any = COMMAND
            while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
                assert rest[0] in command.commands, f"no command {rest[0]}"
                command, rest = command.commands[rest[0]], rest[1:]
            _, surplus, _ = command.make_parser(command.context_class(command)).parse_args(rest)
            assert not surplus, f"{surplus} is too much"
        case ["tox", *rest] if "-e" in rest:
            known = {section.partition(":")[2] for section in _tox().sections()}
            unknown = set(rest[rest.index("-e") + 1].split(",")) - known
            assert not unknown, f"no such environment: {unknown}"
        case ["python", "-m", module, *_] if module.partition(".")[0] in ("harness", "runtime", "tests", "bench", "fuzz"):
            found = find_spec(module)
            package = found is not None and found.submodule_search_locations is not None
            assert found and (not package or find_spec(f"{module}.__main__")), f"no module {module} to run"


def _tox() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "tox.ini")
    return parser


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_exist(page):
    for line in lines(page):
        for words in calls(line):
            try:
                check(words)
            except Exception as error:
                pytest.fail(f"{line.strip()}: {getattr(error, 'message', error)}")


def test_there_are_commands():
    found = [words for page in pages() for line in lines(page) for words in calls(line) if words[0] == "conform"]
    assert len(found) > 50


@pytest.mark.parametrize(
    "line",
    [
        "conform gait",
        "conform run --suit x",
        "conform baseline updat",
        "conform run extra",
        "tox -e nothing",
        "python -m harness.nothing",
        "python -m harness.run",
    ],
)
def test_what_does_not_exist_is_noticed(line):
    with pytest.raises(Exception, match=r"no (command|such|environment|module)|No such option|too much"):
        for words in calls(line):
            check(words)
