"""Where this suite was installed from, so that CI can install the same (PEP 610)."""

from __future__ import annotations

import json
import re
from importlib import metadata

NAME = "actor-conformance"
EXTRA = "conform"
_NAMED = re.compile(rf"^{NAME}(?=$|[ =<>~!;@])")


def installable() -> str | None:
    """What pip installs elsewhere to get this very suite; None when it came from this machine."""
    try:
        text = metadata.distribution(NAME).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return None
    if text is None:
        # Without a note it came from an index, by its name.
        return f"{NAME}[{EXTRA}]=={metadata.version(NAME)}"
    return of(json.loads(text))


def of(note: dict[str, object]) -> str | None:
    """The same from the content of `direct_url.json`."""
    url, repository = str(note["url"]), note.get("vcs_info")
    if isinstance(repository, dict):
        return complete(f"{repository['vcs']}+{url}@{repository['commit_id']}") if not url.startswith("file:") else None
    return complete(url) if url.startswith(("http://", "https://")) else None


def complete(spec: str) -> str:
    """What somebody typed for pip, with the extra that has the harness: a name, a path, or a URL; with an extra it is left as it is."""
    if f"[{EXTRA}]" in spec:
        return spec
    if _NAMED.match(spec):
        return _NAMED.sub(f"{NAME}[{EXTRA}]", spec)
    if "://" in spec:
        return f"{NAME}[{EXTRA}] @ {spec}"
    return f"{spec}[{EXTRA}]"
