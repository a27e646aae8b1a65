r"""Text of the system under test, made fit for the places it is put into: one function per alphabet.

What a target, or another tool, says may hold anything: colours of a terminal, half of a surrogate pair, three megabytes on one line. What a
format cannot hold is written as an escape that a reader can see (`\x1b`), so that nothing is lost and two texts that differ still do.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

_NOT_UTF8 = re.compile("[\ud800-\udfff]")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOT_PLAIN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
_NOT_IN_FILE_NAMES = re.compile(r"[^A-Za-z0-9._=+-]+")
LONGEST_FILE_NAME = 100
"""Characters of a file name before its hash; file systems take 255 bytes for all of it."""


def utf8(text: str) -> str:
    """What can be encoded: lone surrogates are escaped."""
    return _NOT_UTF8.sub(_escape, text)


def storable(value: Any) -> Any:
    """A value for JSON with all its texts in Unicode: half of a surrogate pair is JSON to some readers, and an error to others."""
    if isinstance(value, str):
        return utf8(value)
    if isinstance(value, dict):
        return {utf8(str(key)): storable(one) for key, one in value.items()}
    return [storable(one) for one in value] if isinstance(value, (list, tuple)) else value


def xml(text: str) -> str:
    """What XML 1.0 and HTML can hold: controls, lone surrogates and non-characters are escaped."""
    return _NOT_XML.sub(_escape, text)


def plain(text: str) -> str:
    """One line that every format and terminal takes as it is: line breaks and tabs are escaped, too."""
    return _NOT_PLAIN.sub(_escape, text)


def short(text: str, most: int) -> str:
    """At most `most` characters; what is cut says so."""
    if len(text) <= most:
        return text
    note = f"... ({len(text)} characters)"
    return text[: max(0, most - len(note))] + note


def file_name(text: str) -> str:
    """A name that every file system takes; different texts have different names, even where case does not count."""
    readable = _NOT_IN_FILE_NAMES.sub("_", text)[:LONGEST_FILE_NAME].strip("_")
    # With a hash of the whole: what is cut or replaced may be all that tells two names apart.
    return f"{readable}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:10]}"


def _escape(found: re.Match[str]) -> str:
    return found.group().encode("unicode_escape").decode("ascii")
