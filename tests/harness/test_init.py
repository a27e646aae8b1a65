"""`conform init`, target files and entry points: from nothing to a gate that passes."""

from __future__ import annotations

import json
import os
import sys
import tomllib
from pathlib import Path

import jsonschema
import pytest

from harness import capabilities
from harness.errors import UsageError
from harness.ledger import store
from harness.targets import TargetOptions, resolve
from harness.targets.process import CommandTarget
from harness.targets.url import UrlTarget
from tests.harness.sample import PLAIN, write_corpus

ROOT = Path(__file__).parents[2]
PACKAGE = """
from tests.harness.fake_target import FakeTarget

def make():
    return FakeTarget()

def empty():
    return object()
"""
SERVER = """
import asyncio, json, sys
from tests.harness.app_server import AppServer
from tests.harness.fake_app import FakeApp

async def main():
    url = await AppServer(FakeApp()).start()
    print(json.dumps({"endpoint": url}), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def call(conform, tmp_path, monkeypatch):
    """Run `conform` with a package of targets installed beside."""
    site = tmp_path / "site"
    info = site / "mine-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "mine_targets.py").write_text(PACKAGE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    offered = "mine = mine_targets:make\nempty = mine_targets:empty\nbroken = mine_targets:gone\n"
    (info / "entry_points.txt").write_text(f"[actor_conformance.targets]\n{offered}")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{site}")
    monkeypatch.syspath_prepend(site)
    return conform


def _ledger_is_valid(path: Path) -> None:
    schema = json.loads((ROOT / "harness" / "ledger.schema.json").read_text())
    jsonschema.validate(json.loads(json.dumps(tomllib.loads(path.read_text()), default=str)), schema)
    assert store.load(path).target == path.stem


@pytest.mark.timeout(200)
@pytest.mark.parametrize("tier", ["command", "entry-point"])
def test_what_init_writes_runs_and_gates(call, tmp_path, tier):
    corpus = write_corpus(tmp_path / "corpus", alpha=PLAIN)
    home = tmp_path / "My Runtime"
    home.mkdir()
    (home / "server.py").write_text(SERVER)
    # The command is relative to the target file, not to where conform is called.
    where = ("--cmd", f"{sys.executable} server.py") if tier == "command" else ("--entry-point", "mine")
    text = call("init", str(home), *where)
    ledger = home / "baselines" / "my-runtime.toml"
    assert f"wrote {ledger}" in text
    _ledger_is_valid(ledger)
    target = home / "conformance.toml"
    common = ("--target", str(target), "--corpus", str(corpus), "--encoding", "json", "--jobs", "1")
    assert "2 collected, 2 passed" in call("run", *common)
    assert "GATE PASSED" in call("gate", *common)
    options = [part for part in common if part not in ("--jobs", "1")]
    assert f"{ledger} written" in call("baseline", "update", *options, "--yes")
    _ledger_is_valid(ledger)
    assert len(store.load(ledger).suites["alpha"].tests) == 2
    assert "GATE PASSED" in call("gate", *common)
    write_corpus(tmp_path / "corpus", alpha=PLAIN.replace('.text == "x"', '.text == "y"'))
    assert "gate: new failure: alpha::test_one" in call("gate", *common, status=1)
    assert "my-runtime" in call("baseline", "show", "--target", str(target))


def test_init_overwrites_nothing(call, tmp_path):
    call("init", "here", "--url", "http://127.0.0.1:1")
    before = {path: path.read_bytes() for path in (tmp_path / "here").rglob("*") if path.is_file()}
    assert {path.relative_to(tmp_path / "here").as_posix() for path in before} == {
        "conformance.toml", "baselines/here.toml", ".github/workflows/conformance.yml",
    }  # fmt: skip
    (tmp_path / "here" / "conformance.toml").unlink()
    assert "exist already; nothing was written" in call("init", "here", "--url", "http://127.0.0.1:2", status=2)
    assert not (tmp_path / "here" / "conformance.toml").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give exactly one of url, command and entry-point"),
        (("--url", "http://a", "--cmd", "b"), "give exactly one of url, command and entry-point"),
        (("--url", "ftp://a"), "url: String should match"),
        (("--url", "http://a", "--name", "../x"), "name: String should match"),
        (("--url", "http://a", "--capabilities", "flying"), "unknown capability flying"),
        (("--cmd", "a", "--start", "b"), "--start belongs to --url"),
    ],
)
def test_init_says_what_is_wrong(call, tmp_path, arguments, message):
    assert message in call("init", "there", *arguments, status=2)
    assert not (tmp_path / "there").exists()


def test_a_target_file_says_what_options_would(tmp_path):
    path = tmp_path / "t.toml"
    path.write_text(
        'name = "mine"\nurl = "http://h:1/"\nnamespace = "n"\npool = "p"\ncapabilities = ["overload"]\ntime-scale = 3\nprofile = "seed"\n'
    )
    target = resolve(TargetOptions(str(path), token="t"))
    assert target == UrlTarget("http://h:1", "n", "p", "t", "mine", frozenset({"overload"}), "seed", 3.0)
    typed = resolve(TargetOptions(str(path), namespace="other", capabilities="metrics"))
    assert (typed.namespace, typed.pool, typed.capabilities) == ("other", "p", {"metrics"})
    path.write_text('name = "mine"\ncommand = "./serve \'a b\' {port}"\n')
    command = resolve(TargetOptions(str(path)))
    assert isinstance(command, CommandTarget)
    assert (command.command, command.cwd, command.name) == (("./serve", "a b", "{port}"), tmp_path, "mine")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "mine"', "exactly one of url, command and entry-point"),
        ('name = "mine"\nurl = "http://h"\ntoken = "secret"', "token: Extra inputs are not permitted"),
        ('name = "mine"\nurl = "http://h"\ncapabilities = ["flying"]', "unknown capability flying"),
        ('name = "M"\nurl = "http://h"', "name: String should match"),
        ("name = ", "is not TOML"),
        (None, "make one with: conform init"),
    ],
)
def test_a_target_file_that_is_none(tmp_path, text, message):
    path = tmp_path / "t.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=message):
        resolve(TargetOptions(str(path)))


def test_strings_of_all_kinds_reach_the_target_file(call, tmp_path):
    command = "./läuft \"a b\" '\U0001f600' \\ {port}"
    call("init", "a", "--cmd", command, "--capabilities", "all")
    found = tomllib.loads((tmp_path / "a/conformance.toml").read_text(encoding="utf-8"))
    assert found["command"] == command
    assert set(found["capabilities"]) == capabilities.ALL - capabilities.RESERVED


def test_entry_points_that_do_not_serve(call):
    assert "unknown target nowhere" in (text := call("run", "--target", "nowhere", status=2))
    assert "(installed: broken, empty, mine)" in text
    assert "target 'broken' (mine_targets:gone)" in call("run", "--target", "broken", status=2)
    assert "target 'empty' is none: it has no name, capabilities" in call("run", "--target", "empty", status=2)
