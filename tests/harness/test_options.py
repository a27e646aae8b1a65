"""The options of the sub-commands: dataclasses whose fields typer sees as options."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from harness.cli import options
from harness.cli.app import app
from harness.cli.expand import expanded
from harness.errors import UsageError
from harness.shards.split import WHOLE
from harness.targets import TargetOptions, TimeMode

NameOption = Annotated[str, typer.Option("--name", "-n", help="a name")]


@dataclass(frozen=True, slots=True)
class Inner:
    count: Annotated[int, typer.Option(min=1, help="how many")] = 1


@dataclass(frozen=True, slots=True)
class Outer:
    name: NameOption = "nobody"
    inner: Inner = Inner()


def called(*arguments: str) -> tuple[Any, list[Any]]:
    seen: list[Any] = []
    made = typer.Typer()

    @made.command()
    @expanded
    def command(place: Annotated[str, typer.Argument()], outer: Outer, quiet: bool = False) -> None:
        seen.extend((place, outer, quiet))

    return CliRunner().invoke(made, list(arguments)), seen


def test_a_command_gets_dataclasses_and_typer_their_fields():
    result, seen = called("here", "-n", "x", "--count", "3", "--quiet")
    assert (result.exit_code, seen) == (0, ["here", Outer("x", Inner(3)), True])
    assert called("here")[1] == ["here", Outer("nobody", Inner(1)), False]


def test_what_an_option_of_a_field_forbids_is_refused():
    result, seen = called("here", "--count", "0")
    assert (result.exit_code, seen) == (2, [])


def test_two_options_of_one_name_are_refused_when_the_command_is_made():
    def command(outer: Outer, name: NameOption = "twice") -> None: ...

    with pytest.raises(ValueError, match="two options are called name"):
        expanded(command)


def flags(command: str) -> set[str]:
    group: Any = typer.main.get_command(app)
    return {flag for parameter in group.commands[command].params for flag in parameter.opts}


def test_gate_has_every_option_of_run():
    assert flags("run") - flags("gate") == set()
    assert {"--shard", "--timelines", "--durations"} <= flags("gate")


def test_every_option_reaches_the_request(tmp_path):
    """A field that nothing reads would be an option without effect."""
    (tmp_path / "durations.toml").write_text("[seconds]\n")
    target = options.TargetChoice("tests.harness.fake_target:make", options.Reach("n", "p", "t", "name", "overload", 3.0)).options()
    assert target == TargetOptions("tests.harness.fake_target:make", "n", "p", "t", "name", "overload", 3.0)
    what = options.Selection(
        encoding=["json,cbor"], storage=["disk"], suite=["a"], corpus=tmp_path, keyword="k", only=["a::b"], lane="timing", shard="2/3"
    )
    how = options.Effort(time="real", seed=5, evidence=Path("e"), jobs=2, rerun=1, timelines=True, restart_target=True)
    request = options.build_request(target, what, how)
    plain = options.build_request(TargetOptions("tests.harness.fake_target:make"), options.Matrix(), options.Conditions())
    same = [field.name for field in dataclasses.fields(request) if getattr(request, field.name) == getattr(plain, field.name)]
    assert same == []
    assert (request.time, request.encodings, request.part, plain.part) == (TimeMode.REAL, ("json", "cbor"), (1, 3), WHOLE)


@pytest.mark.parametrize(
    ("what", "how"),
    [
        (options.Matrix(encoding=["morse"]), options.Conditions()),
        (options.Matrix(storage=["tape"]), options.Conditions()),
        (options.Selection(lane="fast"), options.Conditions()),
        (options.Selection(shard="4/3"), options.Conditions()),
        (options.Matrix(), options.Conditions(time="slow")),
    ],
)
def test_what_the_target_cannot_do_is_refused_before_it_starts(what, how):
    with pytest.raises(UsageError):
        options.build_request(TargetOptions(), what, how)
