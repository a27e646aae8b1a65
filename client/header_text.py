"""Text in headers and sub-protocols: what cannot stand there is refused with its name, all other text goes over the wire (WIRE-908)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from client.configuration_error import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NOT_IN_A_HEADER = re.compile(r"[^\x20-\x7e]")
_NOT_IN_A_URL = re.compile(r"""[^\x21-\x7e]|["<>\\^`{|}]""")


def checked_value(what: str, value: str) -> str:
    """The value of a header, without the blanks around it, which are no part of it.

    Raises:
        ConfigurationError: It has control characters, or half a surrogate pair. The message says which header, never the value: it may be
            a secret.
    """
    text = value.strip(" \t")
    # Line breaks would begin further headers; the others are refused by one server and passed on by the next.
    if (found := _CONTROL.search(text)) is not None:
        raise ConfigurationError(f"{what} has the control character {found.group()!r} in it")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigurationError(f"{what} has a character in it that is none in Unicode") from error
    return text


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers that a program gave.

    Raises:
        ConfigurationError: A name is no token, or a value cannot stand in a header.
    """
    return {checked_token("the name of a header", name): checked_value(f"header {name!r}", value) for name, value in headers.items()}


def checked_token(what: str, text: str) -> str:
    """A header's name, a method or a sub-protocol.

    Raises:
        ConfigurationError: It has other characters than HTTP allows there.
    """
    if _TOKEN.fullmatch(text) is None:
        raise ConfigurationError(f"{what} is {text!r}: only letters, digits and !#$%&'*+-.^_`|~ may be in it")
    return text


def as_utf8(headers: Mapping[str, str]) -> dict[str, Any]:
    """A copy for httpx, with what is not ASCII as UTF-8."""
    return {name: value if value.isascii() else value.encode() for name, value in headers.items()}


def as_latin1(headers: Mapping[str, str]) -> dict[str, str]:
    """A copy for websockets, which encodes in ISO-8859-1: the same bytes on the wire as over HTTP."""
    return {name: value if value.isascii() else value.encode().decode("latin-1") for name, value in headers.items()}


def ascii_json(text: str) -> str:
    """JSON text with nothing in it that a header cannot carry everywhere: such characters stand in strings only, and are escaped there."""
    return text if text.isascii() and "\x7f" not in text else _NOT_IN_A_HEADER.sub(_escaped, text)


def quoted_url(url: str) -> str:
    """The URL as ASCII: the host as in the domain name system, the rest percent-encoded, what is encoded left as it is.

    httpx does so by itself; websockets leaves blanks as they are, and of a URL with other letters it encodes every `%` once more.
    """
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    named = host if host.isascii() else host.encode("idna").decode()
    return f"{scheme}{separator}{named}{slash}{_NOT_IN_A_URL.sub(lambda found: quote(found.group()), path)}"


def _escaped(found: re.Match[str]) -> str:
    # As UTF-16, which JSON escapes are in: characters beyond the first plane become two.
    units = found.group().encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def checked_tokens(what: str, texts: Iterable[str]) -> list[str]:
    """`checked_token` of each."""
    return [checked_token(what, text) for text in texts]
