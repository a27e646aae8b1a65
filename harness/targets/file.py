"""A target described in a TOML file, so that nobody repeats its options: `--target conformance.toml`.

name = "mine"
command = "./my-runtime --port {port}"      # or url = "http://...", or entry-point = "mine"
capabilities = ["close_ack"]
"""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from harness import capabilities
from harness.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from harness.targets.options import TargetOptions

SUFFIX = ".toml"
ENGINE = "engine"
"""The one target of the harness that a file can make several of."""


class TargetFile(BaseModel):
    """Where a target is, how it is called (also its ledger), and what it declares. A token is no part of it: set CONFORM_TOKEN."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=lambda name: name.replace("_", "-"), populate_by_name=True)

    # As strict as it is because the name becomes a file name: `baselines/<name>.toml`.
    name: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    url: Annotated[str, Field(pattern=r"^https?://[^/\s]")] | None = None
    command: Annotated[str, Field(min_length=1)] | None = None
    entry_point: Annotated[str, Field(pattern=r"^[\w.:-]+$")] | None = None
    namespace: str = "default"
    pool: str = "default"
    capabilities: tuple[str, ...] = ()
    time_scale: Annotated[float, Field(gt=0)] | None = None
    profile: Literal["peer-2.3", "seed"] = "peer-2.3"
    nodes: Annotated[int, Field(ge=1)] | None = None
    envoys: Annotated[int, Field(ge=1)] | None = None

    @field_validator("capabilities")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        try:
            capabilities.check(frozenset(names))
        except UsageError as error:
            raise ValueError(str(error)) from error
        return names

    @model_validator(mode="after")
    def _one_place(self) -> TargetFile:
        if sum(one is not None for one in (self.url, self.command, self.entry_point)) != 1:
            raise ValueError("give exactly one of url, command and entry-point")
        return self

    @model_validator(mode="after")
    def _engines_only(self) -> TargetFile:
        if self.entry_point != ENGINE and (self.nodes or self.envoys):
            raise ValueError(f"nodes and envoys are for entry-point = {ENGINE!r}")
        return self

    @property
    def spec(self) -> str:
        """What `--target` would be without the file."""
        return self.url or self.entry_point or f"cmd:{self.command}"


def load(path: Path) -> TargetFile:
    """Read a target file.

    Raises:
        UsageError: it is missing, not TOML, or describes no target; the message says where.
    """
    try:
        with path.open("rb") as file:
            return TargetFile.model_validate(tomllib.load(file))
    except OSError as error:
        raise UsageError(f"no target file at {path}: {error.strerror}; make one with: conform init") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from error
    except ValidationError as error:
        places = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'target'}: {one['msg']}" for one in error.errors())
        raise UsageError(f"{path} describes no target: {places}") from error


def expand(options: TargetOptions, path: Path) -> TargetOptions:
    """The options as if the file's content had been typed; what was typed besides wins.

    Raises:
        UsageError: the file describes no target.
    """
    found = load(path)
    plain = type(options)()
    # What was typed differs from the defaults; so typing a default cannot win against the file, which nobody has reason to do.
    said: dict[str, Any] = {
        "namespace": found.namespace,
        "pool": found.pool,
        "name": found.name,
        "capabilities": ",".join(found.capabilities) or None,
        "time_scale": found.time_scale,
        "profile": found.profile,
        "nodes": found.nodes,
        "envoys": found.envoys,
    }
    missing = {name: value for name, value in said.items() if getattr(options, name) == getattr(plain, name)}
    return replace(options, spec=found.spec, directory=path.parent, **missing)
