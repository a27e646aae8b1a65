"""One directory per failure: all that is needed to understand it and to do it again.

bundle.json         the test, its verdict, seed, environment and the command to run it again; read by `conform replay`
transcript.txt      the exchange, for people: one block per request, frame and mark, decoded
transcript.ndjson   the same for programs, with the bytes
failure.txt         the traceback
target.log          what the target logged during the test
actors.json         the manager's records of the actors involved, when the test had failed
metrics.txt         the target's metrics at that time, when it serves them
"""

from __future__ import annotations

import base64
import json
import platform
import re
import shutil
import sys
from dataclasses import asdict, is_dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from client import Exchange, SocketFrame
from harness.errors import UsageError
from harness.text import file_name, storable, utf8

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from harness.evidence.decode import Reading

VERSION = 1
LONGEST_BODY = 64 * 1024
LONGEST_LINE = 2000
PACKAGES = ("actor-conformance", "httpx", "websockets", "pytest", "uvicorn")
# By name and besides the mask: a bundle is uploaded by CI, and a token may be in it that nobody told the harness.
SECRET = re.compile(r"(?i)authorization|token")


def place(root: Path, test: str) -> Path:
    """The directory of a test's bundle: its id in characters that every file system takes, and a hash that tells ids apart."""
    return root / file_name(test)


def write(
    directory: Path, about: Mapping[str, Any], readings: Iterable[Reading], files: Mapping[str, str], *, began: float, dropped: int = 0
) -> None:
    """Write a bundle; what a former run left there is replaced.

    Args:
        directory: Where; made when missing.
        about: What goes into `bundle.json`.
        readings: The transcript, read.
        files: Further files by name; empty ones are left out.
        began: Loop time of the beginning of the test, in seconds.
        dropped: How many entries the transcript had to drop.
    """
    # Whole: files of an earlier failure beside those of this one would be read as one story.
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    # One list for both files, so that people and programs read of the same exchange.
    rows = [row(reading, began) for reading in readings]
    _json(directory / "bundle.json", {"version": VERSION, **about, "environment": environment(), "dropped": dropped})
    lines = (json.dumps(storable(one), default=str, ensure_ascii=False) for one in rows)
    (directory / "transcript.ndjson").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    (directory / "transcript.txt").write_text(utf8("\n".join(_block(one) for one in rows)) + "\n", encoding="utf-8")
    for name, text in files.items():
        if text:
            (directory / name).write_text(utf8(text), encoding="utf-8")


def load(directory: Path) -> dict[str, Any]:
    """What `bundle.json` says.

    Raises:
        UsageError: there is none, or it is of another version.
    """
    # Either is taken: what people copy from a log may be the directory or the file in it.
    path = directory / "bundle.json" if directory.is_dir() else directory
    try:
        about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is no bundle of a failure: {error}") from error
    if not isinstance(about, dict) or about.get("version") != VERSION or "test" not in about:
        raise UsageError(f"{path} is no bundle of a failure of version {VERSION}")
    return about


def environment() -> dict[str, Any]:
    """What of the machine may matter."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {"python": platform.python_version(), "platform": platform.platform(), "hash_seed": sys.flags.hash_randomization, **versions}


def row(reading: Reading, began: float) -> dict[str, Any]:
    """One line of `transcript.ndjson`; times in seconds since the test began."""
    entry = reading.entry
    common: dict[str, Any] = {}
    if reading.violations:
        common["violations"] = [asdict(one) for one in reading.violations]
    if isinstance(entry, Exchange):
        return {
            "t": round(entry.started - began, 6), "kind": "http", "seconds": round(entry.ended - entry.started, 6),
            "by": "test" if reading.raw else "client", "method": entry.method, "url": entry.url, "status": entry.status,
            "error": entry.error,
            "request": _message(entry.request_headers, entry.request_body, reading.sent),
            "response": _message(entry.response_headers, entry.response_body, reading.received), **common,
        }  # fmt: skip
    if isinstance(entry, SocketFrame):
        data = {"t": round(entry.at - began, 6), "kind": "ws", "socket": entry.socket, "event": entry.kind}
        if entry.kind == "open":
            data |= {"url": entry.url, "protocols": [_unsecret(one) for one in entry.protocols]}
        elif entry.kind == "closed":
            data |= {"code": entry.code, "reason": entry.reason}
        else:
            value = reading.sent if entry.kind == "sent" else reading.received
            data |= {"data": _body(entry.data), **({"decoded": _plain(value)} if value is not None else {})}
        return {**data, **common}
    return {"t": round(entry.at - began, 6), "kind": "mark", "text": entry.text}


def _message(headers: Mapping[str, str], body: bytes, value: Any) -> dict[str, Any]:
    shown = {name: "..." if SECRET.search(name) else text for name, text in headers.items()}
    return {"headers": shown, "body": _body(body), **({"decoded": _plain(value)} if value is not None else {})}


def _unsecret(protocol: str) -> str:
    name, dot, _ = protocol.partition(".")
    return f"{name}{dot}..." if dot and "token" in name else protocol


def _body(data: bytes | str) -> str | dict[str, Any]:
    """Text as it is, bytes that are no text as base64; both cut when long."""
    if isinstance(data, str):
        return data if len(data) <= LONGEST_BODY else f"{data[:LONGEST_BODY]}... ({len(data)} characters)"
    try:
        return _body(data.decode())
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data[:LONGEST_BODY]).decode(), "bytes": len(data)}


def _plain(value: Any) -> Any:
    """A decoded message as JSON; what JSON lacks is shown as Python shows it."""
    if is_dataclass(value) and not isinstance(value, type):
        names = list(value.__dataclass_fields__)
        return {type(value).__name__: {name: _plain(getattr(value, name)) for name in names}}
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, (str, int, float, bool)) else repr(value)


def _block(one: Mapping[str, Any]) -> str:
    head = f"{one['t']:10.4f}  "
    notes = "".join(f"\n{'':12}!! {each['side']}: {each['what']}" for each in one.get("violations", ()))
    if one["kind"] == "mark":
        return f"{head}-- {one['text']}"
    if one["kind"] == "ws":
        if one["event"] == "open":
            return f"{head}WS {one['socket']} open {one['url']} {', '.join(one['protocols'])}"
        if one["event"] == "closed":
            return f"{head}WS {one['socket']} closed {one['code']} {one['reason']}"
        return f"{head}WS {one['socket']} {'->' if one['event'] == 'sent' else '<-'} {_said(one, 'data')}{notes}"
    outcome = one["error"] or one["status"]
    lines = [f"{head}{one['method']} {one['url']}  ({one['by']}, {one['seconds'] * 1000:.1f} ms)"]
    if one["request"]["body"]:
        lines.append(f"{'':12}-> {_said(one['request'], 'body')}")
    lines.append(f"{'':12}<- {outcome} {_said(one['response'], 'body')}")
    return "\n".join(lines) + notes


def _said(message: Mapping[str, Any], raw: str) -> str:
    value = message.get("decoded", message.get(raw))
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}..."


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(storable(value), indent=2, default=str, ensure_ascii=False) + "\n", encoding="utf-8")
