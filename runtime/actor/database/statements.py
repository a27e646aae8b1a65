"""SQL text before SQLite sees it: where its statements end, and which placeholders each of them has.

SQLite's own rules are followed for tokens: nothing inside literals, quoted names or comments is a placeholder.
"""

from __future__ import annotations

import re
from functools import lru_cache

_TOKEN = re.compile(
    r"""
    (?P<blank>\s+|--[^\n]*|/\*.*?(?:\*/|$))
    |(?P<quoted>'(?:[^']|'')*'?|"(?:[^"]|"")*"?|`(?:[^`]|``)*`?|\[[^\]]*\]?)
    |(?P<word>[A-Za-z_\u0080-\U0010ffff][\w$]*)
    |(?P<number>\d[\w.]*)
    |(?P<param>\?\d*|[:@$][\w$]+)
    |(?P<end>;)
    |(?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_MANUAL = re.compile(r"\s*(?:BEGIN|SAVEPOINT|COMMIT|END|ROLLBACK)\b", re.IGNORECASE)
_TRAILING = re.compile(r"[;\s]+$")

# Where a statement ends, as `sqlite3_complete` finds it: the body of a trigger contains semicolons, and ends with `; END ;`. Its own table,
# because to ask it at each semicolon takes the square of a long text.
_SEMICOLON, _OTHER, _EXPLAIN, _CREATE, _TEMP, _TRIGGER, _END = range(7)
_KINDS = {"explain": _EXPLAIN, "create": _CREATE, "temp": _TEMP, "temporary": _TEMP, "trigger": _TRIGGER, "end": _END}
_START = 0
_NEXT = (
    (0, 1, 2, 3, 1, 1, 1),  # start
    (0, 1, 1, 1, 1, 1, 1),  # 1: any statement
    (0, 2, 1, 3, 1, 1, 1),  # 2: EXPLAIN
    (0, 1, 1, 1, 3, 4, 1),  # 3: CREATE
    (5, 4, 4, 4, 4, 4, 4),  # 4: CREATE TRIGGER
    (5, 4, 4, 4, 4, 4, 6),  # 5: a semicolon in its body
    (0, 4, 4, 4, 4, 4, 4),  # 6: END behind that
)

MAX_PARAMETERS = 32766
"""Placeholders of one statement (DB-329)."""

# Statements are few and short. A long text is mostly one with its values inside, which never comes again.
_CACHED_LENGTH = 2000


def is_manual_transaction(sql: str) -> bool:
    """Whether the statement controls a transaction by hand (DB-350)."""
    return _MANUAL.match(sql) is not None


def statements(sql: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Statements in order with their placeholders, without those that are blank or only a comment (DB-135..140)."""
    return _cut(sql) if len(sql) <= _CACHED_LENGTH else _cut.__wrapped__(sql)


@lru_cache(maxsize=256)
def _cut(sql: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    # One statement with its semicolon is the usual text and need not be cut into tokens.
    trimmed = _TRAILING.sub("", sql)
    pieces = _split(sql) if ";" in trimmed else [trimmed]
    return tuple((piece, _placeholders(piece)) for piece in pieces if _says_something(piece))


def _split(sql: str) -> list[str]:
    statements: list[str] = []
    start, state = 0, _START
    for token in _TOKEN.finditer(sql):
        if token.lastgroup == "blank":
            continue
        kind = _SEMICOLON if token.lastgroup == "end" else _KINDS.get(token.group().lower(), _OTHER)
        state = _NEXT[state][kind]
        if state == _START:
            statements.append(sql[start : token.end()])
            start = token.end()
    return [*statements, sql[start:]]


def _says_something(sql: str) -> bool:
    return any(token.lastgroup not in ("blank", "end") for token in _TOKEN.finditer(sql))


def _placeholders(sql: str) -> tuple[str, ...]:
    """Placeholders by index, as SQLite numbers them; an index without a name is `?`."""
    if not any(sigil in sql for sigil in "?:@$"):
        return ()
    slots: list[str] = []
    for token in _TOKEN.finditer(sql):
        if token.lastgroup != "param":
            continue
        text = token.group()
        if text == "?":
            slots.append(text)
        elif text[0] == "?":
            # `?999999999` must not make a list of that length; SQLite itself refuses the statement.
            number = min(int(text[1:]), MAX_PARAMETERS)
            slots.extend(["?"] * (number - len(slots)))
        elif text not in slots:
            slots.append(text)
    return tuple(slots)


def numbered(sql: str, slots: tuple[str, ...]) -> str:
    """The text with every placeholder as `?<index>` into `slots`."""
    pieces: list[str] = []
    largest = 0
    for token in _TOKEN.finditer(sql):
        text = token.group()
        if token.lastgroup == "param":
            if text == "?":
                largest += 1
                text = f"?{largest}"
            elif text[0] != "?":
                text = f"?{slots.index(text) + 1}"
            largest = max(largest, int(text[1:]))
        pieces.append(text)
    return "".join(pieces)
