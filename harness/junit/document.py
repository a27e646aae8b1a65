"""From bytes to elements: JUnit XML in any encoding, each element with its line; whatever declares entities is refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from harness.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

ROOTS = ("testsuites", "testsuite")


class Node(Element):
    """An element that knows its line."""

    line: int = 0

    @property
    def kind(self) -> str:
        """Its name without a namespace, in small letters and nothing else: `flakyFailure` and `flaky-failure` are the same."""
        return word(self.tag.rpartition(":")[2])

    def value(self, name: str) -> str:
        """An attribute; "" when it is missing."""
        return self.get(name) or ""

    def nodes(self) -> list[Node]:
        """The children."""
        return [child for child in self if isinstance(child, Node)]


def word(text: str) -> str:
    """A name or value as it is compared: small letters only."""
    return re.sub(r"[^a-z]", "", text.lower())


def load(path: Path) -> Node:
    """The root element of a JUnit file.

    Raises:
        UsageError: the file is missing, is no XML, declares entities, or has another root.
    """
    # By expat itself: ElementTree's own parser neither tells lines nor lets entities be refused.
    parser = expat.ParserCreate()
    builder = TreeBuilder(element_factory=Node)

    def start(tag: str, attributes: dict[str, str]) -> None:
        node = builder.start(tag, attributes)
        if isinstance(node, Node):
            node.line = parser.CurrentLineNumber

    def refuse(*_: object) -> None:
        # Nobody needs them for results, and by them a small file becomes a big one or reads others.
        raise UsageError(f"{path} is no JUnit XML: it declares entities")

    parser.StartElementHandler = start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.EntityDeclHandler = refuse
    # Texts in one piece, or a failure of a megabyte becomes thousands of callbacks.
    parser.buffer_text = True
    try:
        with path.open("rb") as file:
            parser.ParseFile(file)
        root = builder.close()
    # An encoding that Python does not know is a `LookupError`, and the builder asserts that elements are closed.
    except (OSError, expat.ExpatError, ValueError, LookupError, AssertionError) as error:
        raise UsageError(f"{path} is no JUnit XML: {error}") from error
    if not isinstance(root, Node) or root.kind not in ROOTS:
        raise UsageError(f"{path} is no JUnit XML: its root is <{root.tag}>, not <testsuites> or <testsuite>")
    return root
