"""Secrets are masked by value in everything that leaves the process: evidence, events, reports, problems and complaints.

By value, since a secret travels under many names: in headers, sub-protocols, queries, bodies, tracebacks, and in the target's own log.
Each of its characters may stand as itself, percent-encoded, or escaped for JSON, HTML or Python, in any mixture; the whole may stand as
base64 or hex; and what was shortened may hold its beginning or end beside the dots. Texts are masked before they are cut or encoded.
"""

from __future__ import annotations

import base64
import os
import re
from dataclasses import fields, is_dataclass, replace
from html.entities import codepoint2name
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

VARIABLE = "CONFORM_TOKEN"
"""The environment variable that holds the operator token, on its way to `conform` and from there to the workers."""
STARS = "***"
SHORTEST_CUT = 4
"""So many characters of a secret beside dots are taken for it."""
_CUT = r"\.\.\.|…"
_LETTERS = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}
"""What JSON and Python write behind a backslash."""
T = TypeVar("T")


class Mask:
    """Replaces secrets by stars.

    mask = Mask([token])
    mask.learn(endpoint.token)
    mask.text("Bearer s3cret")  # "Bearer ***"
    """

    def __init__(self, secrets: Iterable[str | None] = ()) -> None:
        """Knows these secrets; None and the empty string are none."""
        self._secrets: list[str] = []
        self._pattern: re.Pattern[str] | None = None
        for one in secrets:
            self.learn(one)

    def learn(self, secret: str | None) -> None:
        """Know one more secret, such as one that a target told when it was started."""
        if secret and secret not in self._secrets:
            # The longest first: one may be part of another.
            self._secrets = sorted([*self._secrets, secret], key=len, reverse=True)
            # One expression for all secrets and all forms: everything that leaves goes through it, most of it more than once.
            self._pattern = re.compile("|".join(form for one in self._secrets for form in _forms(one)))

    def text(self, text: str) -> str:
        """The text without secrets."""
        return text if self._pattern is None else self._pattern.sub(STARS, text)

    def data(self, data: bytes) -> bytes:
        """The bytes without secrets; where one was, their length changes."""
        # Every byte is one character of Latin-1, and secrets in UTF-8 read as Latin-1 are among the forms.
        return data if self._pattern is None else self.text(data.decode("latin-1")).encode("latin-1")

    def value(self, value: T) -> T:
        """A value without secrets, however deep: strings, bytes, numbers, containers with their keys, and dataclasses."""
        masked: T = self._value(value) if self._pattern is not None else value
        return masked

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            # An enumeration of strings says nothing secret and stays what it is.
            return self.text(value) if type(value) is str else value
        if isinstance(value, bytes):
            return self.data(value)
        if isinstance(value, (bool, type(None))):
            return value
        # A secret that is a number, such as a PIN, is masked as a whole: parts of other numbers are none.
        if isinstance(value, (int, float)):
            return STARS if str(value) in self._secrets else value
        if isinstance(value, dict):
            return {self._value(key): self._value(one) for key, one in value.items()}
        if isinstance(value, (list, tuple)):
            # Named tuples take their fields one by one; the others take them as one.
            made: Any = getattr(type(value), "_make", type(value))
            return made(map(self._value, value))
        if is_dataclass(value) and not isinstance(value, type):
            return replace(value, **{one.name: self._value(getattr(value, one.name)) for one in fields(value) if one.init})
        # What is none of these is shown as Python shows it.
        shown = repr(value)
        return value if (masked := self.text(shown)) == shown else masked


def of_environment(*secrets: str | None) -> Mask:
    """The mask of this process: the operator token of the environment, and what else is given."""
    return Mask([os.environ.get(VARIABLE), *secrets])


def userinfo(url: str) -> str | None:
    """The part of a URL before `@`, which holds secrets; None without one."""
    head, at, _ = urlsplit(url).netloc.rpartition("@")
    return head if at else None


def _forms(secret: str) -> Iterator[str]:
    """Regular expressions for everything a secret may look like."""
    parts = [_character(one) for one in secret]
    sure = min(SHORTEST_CUT, len(parts))
    # Whole, or its beginning before dots: where the dots are, every further character is matched by nothing.
    yield "".join([*parts[:sure], *(f"(?:{part}|(?={_CUT}))" for part in parts[sure:])])
    if len(parts) > sure:
        yield r"(?:(?<=\.\.\.)|(?<=…))" + "".join([*(f"(?:{part}|(?<=\\.\\.\\.)|(?<=…))" for part in parts[:-sure]), *parts[-sure:]])
    # Short ones are left out in hex and base64: four digits occur in every second hash.
    raw = secret.encode()
    if len(raw) >= SHORTEST_CUT:
        yield "(?i:" + raw.hex() + ")"
    yield from _base64(raw)


def _character(one: str) -> str:
    """One character as itself or in any of the escapes that text goes through."""
    code, raw = ord(one), one.encode()
    units = one.encode("utf-16-be")
    escaped = "".join(rf"\\{{1,8}}u{units[index : index + 2].hex()}" for index in range(0, len(units), 2))
    forms = {
        rf"\\{{0,8}}{re.escape(one)}": None,
        "".join(f"%(?:25)*{byte:02x}" for byte in raw): None,
        escaped: None,
        "".join(rf"\\{{1,8}}x{byte:02x}" for byte in raw): None,
        rf"&(?:amp;)*#(?:0*{code}|x0*{code:x});": None,
    }
    if code <= 0xFF:
        forms[rf"\\{{1,8}}x{code:02x}"] = None
    if code > 0x7F:
        forms[re.escape(raw.decode("latin-1"))] = None  # UTF-8 taken for Latin-1, as in headers
        forms[rf"\\{{1,8}}U{code:08x}"] = None
    if code in codepoint2name:
        forms[f"&(?:amp;)*{codepoint2name[code]};"] = None
    if one in _LETTERS:
        forms[rf"\\{{1,8}}{_LETTERS[one]}"] = None
    if one == " ":
        forms[r"\+"] = None
    # Hex digits come in both cases; letters of the secret itself only in theirs.
    plain, *rest = forms
    return f"(?:{plain}|(?i:{'|'.join(rest)}))"


def _base64(raw: bytes) -> Iterator[str]:
    """The secret inside something longer that was encoded: by where it begins, the digits are others."""
    # Base64 works in groups of three bytes, so that what comes before shifts the digits in three ways.
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        # The first digits also hold the bytes before; the last one holds the bytes after, unless the secret ends with it.
        first = (0, 2, 3)[before]
        whole = (before + len(raw)) % 3 == 0
        core = encoded[first:] if whole else encoded[first:-1]
        if len(core) < SHORTEST_CUT:
            continue
        digits = {"+": "(?:[+-]|%2[Bb])", "/": r"(?:\\*/|_|%2[Ff])"}
        pattern = "".join(digits.get(one, one) for one in core)
        yield pattern + ("" if whole else r"[\w+/-]?(?:=|%3[Dd])*")
