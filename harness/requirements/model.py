"""A specification document as data: headings, prose and requirements in reading order.

The data lies in `docs/spec/requirements/*.json` (in a wheel beside this module), made by `python -m harness.requirements.extract`, so that
the command works without the documents it was made from.
"""

from __future__ import annotations

import functools
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


SHIPPED = Path(__file__).parent / "spec"
"""The specification of this project: a link to `docs/spec` of the checkout, a directory of its own in a wheel."""


class Level(StrEnum):
    """How binding a requirement is; a sentence without one of the words is binding."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"


class Check(StrEnum):
    """Where a requirement can be checked."""

    OBSERVABLE = "observable"
    """By a client of any endpoint, so by the corpus."""
    IN_PROCESS = "in-process"
    """Only inside a runtime: its unit tests, metrics or log."""
    CLIENT = "client"
    """By driving a client library, so by the tests of the client."""
    ENGINE = "engine"
    """Only on a runtime that is hosted by the distributed engine."""


# Strict, as data that nobody knows would be lost when a document is written again.
class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Requirement(_Model):
    """One numbered requirement; `marks` is the evidence as the document notes it."""

    id: str
    level: Level
    check: Check
    text: str
    marks: str = ""
    section: str = ""

    @property
    def summary(self) -> str:
        """Its first sentence, on one line."""
        line = " ".join(self.text.split())
        # To the first full stop or semicolon: messages and tables have one line for it.
        return re.split(r"(?<=[.;])\s", line, maxsplit=1)[0]


class Heading(_Model):
    """A heading of the document; `depth` counts from 1."""

    heading: str
    depth: int


class Prose(_Model):
    """Text between requirements: tables, terms and notes, as Markdown."""

    prose: str


class Document(_Model):
    """One document of the specification."""

    name: str
    title: str
    blocks: list[Requirement | Heading | Prose]

    def requirements(self) -> Iterator[Requirement]:
        """The requirements in the order of the document."""
        return (block for block in self.blocks if isinstance(block, Requirement))


def home(directory: Path | None = None) -> Path:
    """The directory of the specification: the given one, else that of this project."""
    return directory or SHIPPED


def writable(directory: Path) -> Path:
    """The directory, if it may be written to: what is installed may not.

    Raises:
        UsageError: it is the specification of an installed harness.
    """
    # In a checkout it is a link; a directory of its own is one that pip laid down, and the next installation would lose the change.
    if directory == SHIPPED and not SHIPPED.is_symlink():
        raise UsageError(f"{directory} is part of the installed suite and is not written to; name a directory with --spec")
    return directory


@functools.cache
# Cached, as every failing test asks for its sentences.
def summaries() -> Mapping[str, str]:
    """The first sentence of every requirement, by id."""
    return {one.id: one.summary for document in load(SHIPPED) for one in document.requirements()}


def load(directory: Path) -> list[Document]:
    """Read every document below `directory`/requirements.

    Raises:
        UsageError: there is none, one is malformed, or an id occurs twice.
    """
    paths = sorted((directory / "requirements").glob("*.json"))
    if not paths:
        raise UsageError(f"no requirements below {directory / 'requirements'}; name the directory with --spec")
    documents: list[Document] = []
    seen: dict[str, str] = {}
    for path in paths:
        try:
            document = Document.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise UsageError(f"{path} is no document of the specification: {error}") from error
        for one in document.requirements():
            # An id that two documents have would be tested by one of them and look tested in both.
            if one.id in seen:
                raise UsageError(f"requirement {one.id} is in {seen[one.id]} and in {document.name}")
            seen[one.id] = document.name
        documents.append(document)
    return documents
