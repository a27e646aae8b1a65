"""`conform doctor` tells a target that can be judged from one that cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.run.doctor import NEVER_STARTED, Health, examine, mentioned
from harness.run.request import standard_corpus
from harness.targets.reference import ReferenceTarget
from harness.targets.url import UrlTarget
from runtime import Options

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
    assert fixtures.text == "1 of 2 actor names are not hosted or do not start: nobodyHostsThis"


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


def test_corpus_mentions_its_fixtures():
    names = mentioned(standard_corpus())
    assert "counter" in names
    assert len(names) > 100
    assert not NEVER_STARTED & set(names)


@pytest.mark.parametrize("call", ['conform.create("counter")', 'conform.get_or_create("counter", key=["a"])'])
def test_both_ways_to_make_an_actor_are_seen(tmp_path, call):
    (tmp_path / "test_one.py").write_text(f"    actor = {call}\n")
    assert mentioned(tmp_path) == ["counter"]
