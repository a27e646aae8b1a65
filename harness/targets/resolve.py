"""From what was asked for (`--target ...`) to a `Target`."""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from harness import capabilities
from harness.capabilities import PROFILES
from harness.did_you_mean import named
from harness.errors import UsageError
from harness.masking import VARIABLE, userinfo
from harness.targets import file
from harness.targets.engine import EngineTarget
from harness.targets.process import CommandTarget
from harness.targets.reference import NullTarget, ReferenceTarget
from harness.targets.reference_process import ReferenceProcessTarget
from harness.targets.rivetkit import RivetkitTarget
from harness.targets.url import UrlTarget

if TYPE_CHECKING:
    from harness.targets.base import Target
    from harness.targets.options import TargetOptions


# By entry point, so that the owner of a runtime ships the target with it and nobody here has to know of it.
ENTRY_POINTS = "actor_conformance.targets"
"""The group of entry points with which an installed package offers targets."""
SPECS = "reference, reference-process, null, engine, rivetkit, FILE.toml, http://host:port, cmd:COMMAND, module:factory or an entry point"
"""The forms a target can be named in."""
NAMES = ("reference", "reference-process", "null", "engine", "rivetkit")
URLS = ("http://", "https://")
_ADDRESS = re.compile(r"(localhost|\d+(\.\d+){3}|\[[0-9a-fA-F:.]+\])(:\d+)?(/.*)?|[\w.-]+:\d+(/.*)?")
# Checked by name and not by inheritance: a target may be any object, and what it lacks is said at once instead of in the first test.
ATTRIBUTES = ("name", "capabilities", "profile", "time_modes", "storages", "time_scale", "start", "stop")


def resolve(options: TargetOptions) -> Target:
    """Make the target that `options` describe; nothing is started.

    Raises:
        UsageError: there is no such target.
    """
    # A command may end in `.toml`, too, such as one that is given its configuration.
    if options.spec.endswith(file.SUFFIX) and not options.spec.startswith("cmd:"):
        options = file.expand(options, Path(options.spec))
    if options.profile not in (None, *PROFILES):
        raise UsageError(f"no profile {options.profile!r}; there are: {', '.join(PROFILES)}")
    if options.spec == "reference":
        return ReferenceTarget()
    if options.spec == "null":
        return NullTarget()
    if options.spec == "reference-process":
        return ReferenceProcessTarget()
    if options.spec == file.ENGINE:
        return EngineTarget(name=options.name or file.ENGINE, nodes=options.nodes or 1, envoys=options.envoys or 1)
    if options.spec == "rivetkit":
        return RivetkitTarget()
    if options.spec.startswith("cmd:"):
        return _command(options)
    if options.spec.startswith(URLS):
        _check_url(options.spec)
        # Refused rather than split up: a URL with a password would be in the process list, in the events and in every message before it is
        # masked.
        if userinfo(options.spec) is not None:
            shown = options.spec.replace(f"{userinfo(options.spec)}@", "", 1)
            raise UsageError(f"a URL target takes no user or token: use {shown}, --namespace, and the token in {VARIABLE}")

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
    _check_scheme(options.spec)
    if ":" in options.spec:
        return _from_python(options.spec)
    return _from_entry_point(options.spec)


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        fine = parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        fine = False
    if not fine:
        raise UsageError(f"target {url.partition('://')[0]}://...: there is no host, or no port from 1 to 65535; use http://host:port")


def _check_scheme(spec: str) -> None:
    """An address without its scheme is a URL target by mistake, and no Python module."""
    scheme, there, _ = spec.partition("://")
    if there:
        # The rest is not shown: it may hold a password.
        raise UsageError(f"target {scheme}://...: a URL target begins with http:// or https://")
    if _ADDRESS.fullmatch(spec):
        raise UsageError(f"target {spec!r} is an address without its scheme; use http://{spec}")


def _command(options: TargetOptions) -> Target:
    command = tuple(shlex.split(options.spec.removeprefix("cmd:")))
    if not command:
        raise UsageError("target 'cmd:' names no command; use cmd:COMMAND, such as 'cmd:./my-runtime --port {port}'")
    return CommandTarget(
        command=command,
        name=options.name or "command",
        capabilities=capabilities.parse(options.capabilities),
        time_scale=options.time_scale or 2.0,
        profile=options.profile or "peer-2.3",
        cwd=options.directory,
    )


def _from_python(spec: str) -> Target:
    module, _, attribute = spec.partition(":")
    try:
        # What the module itself raises while it is imported is shown as it is: it is its author who reads it.
        factory = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"target {spec!r}: {error}") from error
    return _made(spec, factory)


def _from_entry_point(name: str) -> Target:
    offered = importlib.metadata.entry_points(group=ENTRY_POINTS)
    found = list(offered.select(name=name))
    if not found:
        installed = f" (installed: {', '.join(sorted(offered.names))})" if offered else ""
        raise UsageError(f"unknown target {named([name], [*NAMES, *offered.names])}; use {SPECS}{installed}")
    # The same entry point is found twice when a package is installed and on the path as well; only different ones are a question.
    if len({one.value for one in found}) > 1:
        raise UsageError(f"target {name!r} is offered more than once: {', '.join(sorted(one.value for one in found))}")
    try:
        factory = found[0].load()
    except (ImportError, AttributeError) as error:
        raise UsageError(f"target {name!r} ({found[0].value}): {error}") from error
    return _made(name, factory)


def _made(spec: str, factory: Any) -> Target:
    target: Target = factory()
    missing = [name for name in ATTRIBUTES if not hasattr(target, name)]
    if missing:
        raise UsageError(f"target {spec!r} is none: it has no {', '.join(missing)} (see harness.targets.Target)")
    return target
