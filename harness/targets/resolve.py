"""From what was asked for (`--target ...`) to a `Target`."""

from __future__ import annotations

import importlib
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness import capabilities
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.targets.base import Target


SPECS = "reference, reference-process, rivetkit, http://host:port, cmd:COMMAND or module:factory"
"""The forms a target can be named in."""


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """A target as asked for on the command line; everything but `spec` only concerns URL and command targets."""

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
    if options.spec == "rivetkit":
        from harness.targets.rivetkit import RivetkitTarget

        return RivetkitTarget()
    if options.spec.startswith("cmd:"):
        return _command(options)
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
    raise UsageError(f"unknown target {options.spec!r}; use {SPECS}")


def _command(options: TargetOptions) -> Target:
    from harness.targets.process import CommandTarget

    command = tuple(shlex.split(options.spec.removeprefix("cmd:")))
    if not command:
        raise UsageError("target 'cmd:' names no command; use cmd:COMMAND, such as 'cmd:./my-runtime --port {port}'")
    return CommandTarget(
        command=command,
        name=options.name or "command",
        capabilities=capabilities.parse(options.capabilities),
        time_scale=options.time_scale or 2.0,
        profile=options.profile or "peer-2.3",
    )


def prepare(target: Target) -> None:
    """Do what must be done once before any worker starts the target, such as installing it.

    Raises:
        TargetError: something it needs is missing.
    """
    step = getattr(target, "prepare", None)
    if step is not None:
        step()


def _from_python(spec: str) -> Target:
    module, _, attribute = spec.partition(":")
    try:
        factory = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"target {spec!r}: {error}") from error
    target: Target = factory()
    return target
