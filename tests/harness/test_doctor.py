"""`conform doctor` tells a target that can be judged from one that cannot."""

from __future__ import annotations

import asyncio
import functools
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from fixtures import standard_registry
from harness.errors import TargetError
from harness.run.doctor import Health, examine
from harness.run.hosted_actors import ABSENT, DOOMED, ENOUGH, Start, mentioned, starts
from harness.standard_corpus import standard_corpus
from harness.targets.reference import ReferenceTarget
from harness.targets.url import UrlTarget, reach
from runtime import HostOptions, InProcessServer, Options, create_app

if TYPE_CHECKING:
    from pathlib import Path


def small_corpus(directory: Path, *names: str) -> Path:
    calls = "\n".join(f'    conform.get_or_create("{name}")' for name in names)
    (directory / "test_sample.py").write_text(f"def test_it(conform):\n{calls}\n")
    return directory


async def test_reference_is_fit(tmp_path):
    findings = await examine(ReferenceTarget(), "memory", small_corpus(tmp_path, "counter", "destroyActor"))
    assert [(finding.what, finding.text) for finding in findings if finding.health is Health.BAD] == []
    seen = {finding.what: finding for finding in findings}
    assert seen["fixtures"].text == "all 2 actor names of the corpus are hosted"
    assert {"reach", "encodings", "clock", "latency", "machine", "capability overload", "capability metrics"} <= set(seen)


async def test_actor_names_that_are_not_hosted_are_named(tmp_path):
    findings = await examine(ReferenceTarget(), "memory", small_corpus(tmp_path, "counter", "nobodyHostsThis"))
    (fixtures,) = [finding for finding in findings if finding.what == "fixtures"]
    assert fixtures.health is Health.DOUBTFUL
    assert fixtures.text == "1 of 2 actor names are not hosted or do not start: nobodyHostsThis (nobody hosts it)"


async def test_actor_names_that_are_not_hosted_are_told_by_suite(tmp_path):
    corpus = small_corpus(tmp_path, "counter")
    for suite, names in {"alpha": ("counter", "nobodyHostsThis", "norThis"), "beta": ("counter",), "gamma": ("norThis",)}.items():
        calls = "\n".join(f'    conform.create("{name}")' for name in names)
        (corpus / f"test_{suite}.py").write_text(f'pytestmark = suite("{suite}")\ndef test_it(conform):\n{calls}\n')
    findings = await examine(ReferenceTarget(), "memory", corpus)
    (fixtures,) = [finding for finding in findings if finding.what == "fixtures"]
    _, *suites = fixtures.text.splitlines()
    assert fixtures.text.startswith("2 of 3 actor names are not hosted or do not start: ")
    assert fixtures.text.splitlines()[0].endswith("; 2 suites need them:")
    assert suites == ["  alpha: nobodyHostsThis, norThis", "  gamma: norThis"]


async def test_capability_that_is_there_but_not_declared_is_doubtful(tmp_path):
    class Modest(ReferenceTarget):
        capabilities = ReferenceTarget.capabilities - {"metrics"}

    findings = await examine(Modest(), "memory", small_corpus(tmp_path, "counter"))
    (metrics,) = [finding for finding in findings if finding.what == "capability metrics"]
    assert (metrics.health, metrics.text) == (Health.DOUBTFUL, "there, but not declared: its tests are skipped")


async def test_capability_that_is_declared_but_not_there_is_bad(tmp_path, monkeypatch):
    monkeypatch.setattr("fixtures.overload.OverloadActor.options", Options())
    findings = await examine(ReferenceTarget(), "memory", small_corpus(tmp_path, "counter"))
    (overload,) = [finding for finding in findings if finding.what == "capability overload"]
    assert (overload.health, overload.text) == (Health.BAD, "declared, but not there")


async def test_unreachable_target_is_bad(tmp_path, unused_tcp_port):
    target = UrlTarget(f"http://127.0.0.1:{unused_tcp_port}", patience=0.3)
    findings = await examine(target, "target", small_corpus(tmp_path, "counter"))
    assert findings[0].what == "reach"
    assert findings[0].health is Health.BAD


@pytest.mark.timeout(180)
class Unhurried(ReferenceTarget):
    """Other tests have the processors meanwhile."""

    time_scale = 4.0


async def test_real_corpus_on_the_reference_is_all_well():
    """Names that are there to be absent or to fail are told by what they do; one that had to be waited for would not be well."""
    findings = await examine(Unhurried(), "memory", standard_corpus())
    # What else this machine is doing meanwhile is its own matter.
    busy = {"machine", "latency"}
    assert [finding for finding in findings if finding.health is not Health.GOOD and finding.what not in busy] == []
    assert busy < {finding.what for finding in findings}


def test_names_that_the_corpus_calls_are_those_of_the_fixtures():
    hosted = {one.name for one in standard_registry()}
    assert set(mentioned(standard_corpus())) - hosted == set()
    assert [name for name in hosted if name.startswith(ABSENT)] == []
    assert set(mentioned(standard_corpus())) >= DOOMED
    called = "\n".join(path.read_text() for path in standard_corpus().glob("test_*.py"))
    assert f'create("{ABSENT}' in called


class FakeRest:
    """Records of actors by name; `starts` says after how many looks one has started."""

    def __init__(self, records: dict[str, Any]) -> None:
        self.records = records
        self.destroyed: list[str] = []

    async def get_actor(self, name: str) -> Any:
        found = self.records[name]
        return found.pop(0) if isinstance(found, list) and len(found) > 1 else found[0] if isinstance(found, list) else found

    async def destroy_actor(self, name: str) -> None:
        self.destroyed.append(name)


class FakeClient:
    """An actor's id is its name, and no call is ever answered."""

    def __init__(self, records: dict[str, Any]) -> None:
        self.rest = FakeRest(records)

    def get_or_create(self, name: str, key: list[str]) -> Any:
        async def resolve() -> str:
            return name

        async def action(action: str) -> None:
            await asyncio.Event().wait()

        return SimpleNamespace(resolve=resolve, action=action)


NEW: dict[str, Any] = {"start_ts": None}
UP: dict[str, Any] = {"start_ts": 1}


def crashed(message: str) -> dict[str, Any]:
    return {"start_ts": None, "error": {"crashed": {"message": message}}}


async def test_the_record_tells_what_became_of_a_start():
    client = FakeClient(
        {
            "plain": UP,
            "slow": [NEW, NEW, UP],
            "gone": None,
            "secondTry": [crashed("once"), UP],
            "failing": crashed("no table"),
            "nobody": crashed("Actor factory 'nobody' is not registered."),
        }
    )
    began = time.monotonic()
    found = await starts(client, list(client.rest.records))
    assert found == {
        "plain": Start.HOSTED,
        "slow": Start.HOSTED,
        "gone": Start.HOSTED,
        "secondTry": Start.HOSTED,
        "failing": Start.FAILED,
        "nobody": Start.ABSENT,
    }
    assert time.monotonic() - began < 5
    assert sorted(client.rest.destroyed) == sorted(found)


async def test_a_silent_name_is_waited_for_by_what_the_others_took():
    records = {f"up{number}": UP for number in range(ENOUGH)}
    began = time.monotonic()
    found = await starts(FakeClient({**records, "silent": NEW}), [*records, "silent"], patience=60)
    assert found["silent"] is Start.SILENT
    assert time.monotonic() - began < 10


async def test_a_target_that_starts_nothing_is_not_asked_for_every_name():
    names = [f"silent{number}" for number in range(200)]
    began = time.monotonic()
    found = await starts(FakeClient(dict.fromkeys(names, NEW)), names, patience=0.3)
    assert set(found.values()) == {Start.SILENT}
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("call", ['conform.create("counter")', 'conform.get_or_create("counter", key=["a"])'])
def test_both_ways_to_make_an_actor_are_seen(tmp_path, call):
    (tmp_path / "test_one.py").write_text(f"    actor = {call}\n")
    assert mentioned(tmp_path) == ["counter"]


async def test_a_closed_target_is_told_with_the_sentence_of_its_refusal(tmp_path):
    app = create_app(standard_registry(), options=HostOptions(admin_token="secret"))
    async with InProcessServer(app) as server:
        findings = {one.what: one for one in await examine(UrlTarget(server.url), "external", small_corpus(tmp_path, "counter"))}
        assert (findings["operators"].health, findings["pages"].health) == (Health.BAD, Health.DOUBTFUL)
        assert findings["operators"].text == "Access denied: the manager wants another token than CONFORM_TOKEN says"
        assert "--allow-origin" in findings["pages"].text
        known = {
            one.what: one for one in await examine(UrlTarget(server.url, token="secret"), "external", small_corpus(tmp_path, "counter"))
        }
        assert known["operators"].health is Health.GOOD


async def test_a_target_that_does_not_answer_to_its_name_says_how_to_allow_it(monkeypatch):
    async with InProcessServer(create_app(standard_registry())) as server:
        monkeypatch.setattr(httpx.AsyncClient, "get", functools.partialmethod(httpx.AsyncClient.get, headers={"host": "target.example"}))
        with pytest.raises(TargetError, match=r"refuses to be asked: .* name target\.example; --allow-host"):
            await reach(server.url)
