"""From what was asked for (`--target ...`) to a `Target`."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness import capabilities
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.targets.base import Target


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """A target as asked for on the command line; everything but `spec` only concerns URL targets."""

    spec: str = "reference"
    namespace: str = "default"
    pool: str = "default"
    token: str | None = None
    name: str | None = None
    capabilities: str | None = None
    time_scale: float | None = None
    profile: str | None = None


def resolve(options: TargetOptions) -> Target:
    """Make the target that `options` describe; nothing is started.

    Raises:
        UsageError: there is no such target.
    """
    if options.spec == "reference":
        from harness.targets.reference import ReferenceTarget

        return ReferenceTarget()
    if options.spec == "reference-process":
        from harness.targets.reference_process import ReferenceProcessTarget

        return ReferenceProcessTarget()
    if options.spec.startswith(("http://", "https://")):
        from harness.targets.url import UrlTarget

        return UrlTarget(
            url=options.spec.rstrip("/"),
            namespace=options.namespace,
            pool=options.pool,
            token=options.token,
            name=options.name or "url",
            capabilities=capabilities.parse(options.capabilities),
            time_scale=options.time_scale or 2.0,
            profile=options.profile or "peer-2.3",
        )
    if ":" in options.spec:
        return _from_python(options.spec)
    raise UsageError(f"unknown target {options.spec!r}; use reference, reference-process, http://host:port or module:factory")


def _from_python(spec: str) -> Target:
    module, _, attribute = spec.partition(":")
    try:
        factory = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"target {spec!r}: {error}") from error
    target: Target = factory()
    return target
