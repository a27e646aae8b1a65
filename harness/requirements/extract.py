"""Turns the Markdown documents of the specification into data: `python -m harness.requirements.extract SPEC_DIRECTORY`.

A requirement is either a bullet that begins with its id in bold, or a row of a table whose first cell is the id. The first occurrence
counts: later tables that begin with ids are summaries and stay prose.
"""

from __future__ import annotations

import json
import re
from pathlib import Path  # noqa: TC003 -- typer reads annotations at run time
from typing import Annotated

import typer

from harness.errors import UsageError
from harness.requirements.model import Check, Document, Heading, Level, Prose, Requirement, home, writable

ID = r"[A-Z]+-\d{3}[a-z]?"
# By expression and no Markdown parser: requirements have one form, and the text around them must survive to the letter.
_BULLET = re.compile(rf"^- \*\*({ID})\*\*:?\s*(.*)$")
_ROW = re.compile(rf"^\|\s*\*{{0,2}}({ID})\*{{0,2}}\s*\|")
_HEADING = re.compile(r"^(#+)\s+(.*)$")
_RULER = re.compile(r"^\|[\s|:-]+\|$")
_MARKS = re.compile(r"\[[A-Z]\]")
CLIENT_SECTIONS = ("11. Client semantics", "11.1 Configuration", "11.2 Handles", "11.3 Transparent", "11.4 Connections")
"""Sections that bind the client library; the corpus, which tests a server, cannot observe them."""


def extract(path: Path) -> Document:
    """Read one document."""
    return _Reader(path).read()


class _Reader:
    """Goes through a document line by line."""

    def __init__(self, path: Path) -> None:
        self._name = path.stem
        self._lines = path.read_text(encoding="utf-8").splitlines()
        self._blocks: list[Requirement | Heading | Prose] = []
        self._prose: list[str] = []
        self._seen: set[str] = set()
        self._title = path.stem
        self._section = ""
        self._header: list[str] = []

    def read(self) -> Document:
        position = 0
        while position < len(self._lines):
            position = self._line(position)
        self._flush()
        return Document(name=self._name, title=self._title, blocks=self._blocks)

    def _line(self, position: int) -> int:
        """Take the block that begins at `position`; returns where the next one begins."""
        line = self._lines[position]
        if found := _HEADING.match(line):
            self._flush()
            self._heading(len(found[1]), found[2].strip())
        # The first occurrence counts: later tables repeat ids as a summary.
        elif (found := _BULLET.match(line)) and found[1] not in self._seen:
            end = self._end_of_bullet(position)
            # A continuation is indented by the width of the bullet.
            rest = [one.removeprefix("  ") for one in self._lines[position + 1 : end]]
            text = "\n".join([found[2], *rest]).strip()
            self._requirement(found[1], text, " ".join(dict.fromkeys(_MARKS.findall(text))))
            return end
        elif (found := _ROW.match(line)) and found[1] not in self._seen and self._header:
            cells = dict(zip(self._header, _cells(line), strict=False))
            self._requirement(found[1], _sentence(cells), cells.get("V") or cells.get("Ev.") or "")
        elif not line.startswith("---"):
            self._note_header(position)
            self._prose.append(line)
        return position + 1

    def _note_header(self, position: int) -> None:
        line = self._lines[position]
        following = self._lines[position + 1] if position + 1 < len(self._lines) else ""
        if line.startswith("|") and _RULER.match(following):
            header = _cells(line)
            # Other tables mention ids, too; only one whose first column is called so states requirements.
            self._header = header if header[0].lower() == "id" else []

    def _end_of_bullet(self, position: int) -> int:
        end = position + 1
        while end < len(self._lines):
            line = self._lines[end]
            # A blank line does not end a bullet that goes on indented behind it.
            blank_before_more = not line and end + 1 < len(self._lines) and self._lines[end + 1].startswith("  ")
            if not line.startswith("  ") and not blank_before_more:
                break
            end += 1
        return end

    def _heading(self, depth: int, text: str) -> None:
        self._header = []
        if depth == 1:
            self._title = text
        else:
            self._section = text
        self._blocks.append(Heading(heading=text, depth=depth))

    def _requirement(self, name: str, text: str, marks: str) -> None:
        if not text:
            raise UsageError(f"{self._name}: {name} has no text")
        self._flush()
        self._seen.add(name)
        self._blocks.append(
            Requirement(id=name, level=level(text), check=self._check(marks), text=text, marks=marks.strip(), section=self._section)
        )

    def _check(self, marks: str) -> Check:
        if self._name == "engine-mode":
            return Check.ENGINE
        if self._name == "wire-protocol" and self._section.startswith(CLIENT_SECTIONS):
            return Check.CLIENT
        return Check.IN_PROCESS if self._name == "lifecycle" and not marks.startswith("X") else Check.OBSERVABLE

    def _flush(self) -> None:
        # The head of a table whose rows became requirements says nothing by itself.
        if self._header and len(self._prose) >= 2 and _RULER.match(self._prose[-1]):
            del self._prose[-2:]
        text = "\n".join(self._prose).strip()
        self._prose.clear()
        if text:
            self._blocks.append(Prose(prose=text))


def level(text: str) -> Level:
    """How binding a text is; the strongest word decides."""
    for one in (Level.MUST, Level.SHOULD, Level.MAY):
        # From the strongest on: a sentence that says MUST and MAY binds by its MUST.
        if re.search(rf"\b{one}\b", text):
            return one
    return Level.MUST


def _sentence(cells: dict[str, str]) -> str:
    """The requirement of a row; a table without such a column states it in all its columns."""
    if "Requirement" in cells:
        return cells["Requirement"]
    rest = [(name, cell) for name, cell in list(cells.items())[1:] if name not in ("V", "Ev.") and cell not in ("", "-")]
    return "; ".join(f"{name.lower()}: {cell}" for name, cell in rest)


def _cells(line: str) -> list[str]:
    # A bar inside a cell is escaped by a backslash, and is none of the table's.
    parts = re.split(r"(?<!\\)\|", line.strip().strip("|"))
    return [part.strip().replace("\\|", "|") for part in parts]


def main(
    spec: Annotated[Path, typer.Argument(help="directory with the documents of the specification")],
    to: Annotated[Path | None, typer.Option(help="where docs/spec is")] = None,
) -> None:
    """Write one JSON file per document that holds requirements."""
    target = writable(home(to)) / "requirements"
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(spec.glob("*.md")):
        document = extract(path)
        count = sum(1 for _ in document.requirements())
        if count:
            data = document.model_dump(mode="json", exclude_defaults=True)
            (target / f"{document.name}.json").write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            typer.echo(f"{document.name}: {count}")


if __name__ == "__main__":
    typer.run(main)
