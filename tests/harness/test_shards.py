"""Shards: every suite in exactly one, balanced, the same on every machine; merged they are the whole run."""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING

import pytest

from harness.errors import UsageError
from harness.events import stream
from harness.shards import durations, split
from harness.standard_corpus import standard_corpus
from tests.harness.sample import PLAIN, write_corpus

if TYPE_CHECKING:
    from pathlib import Path

ROOT_CAUSE = '''
@requirement("TASK-001")
async def test_bad(conform):
    """Bad."""
    assert 0, "bad"
'''
DEPENDANT = '''
from harness import depends_on

@requirement("TASK-001")
@depends_on("zeta::test_bad")
async def test_too(conform):
    """Bad, too."""
    assert 0, "too"
'''


def test_the_longest_goes_first_to_the_emptiest_share():
    seconds = {"a": 5.0, "b": 4.0, "c": 3.0, "d": 3.0, "e": 3.0}
    assert split.share(seconds, (), seconds, 2) == {"a": 0, "b": 1, "c": 1, "d": 0, "e": 1}


def test_shares_do_not_depend_on_the_order_of_anything():
    names = [f"suite-{number}" for number in range(20)]
    seconds = {name: float(number % 4) for number, name in enumerate(names)}
    pairs = [("suite-3", "suite-7"), ("suite-7", "suite-12"), ("suite-1", "elsewhere")]
    expected = split.share(names, pairs, seconds, 3)
    assert set(expected) == set(names)
    assert expected["suite-3"] == expected["suite-7"] == expected["suite-12"]
    for seed in range(10):
        shuffled = random.Random(seed)
        mixed = [shuffled.sample(some, len(some)) for some in (names, pairs)]
        assert split.share(mixed[0], mixed[1], dict(shuffled.sample(list(seconds.items()), 20)), 3) == expected


def test_unknown_suites_count_as_the_average():
    place = split.share(["old-1", "old-2", "new"], (), {"old-1": 9.0, "old-2": 1.0}, 2)
    assert place == {"old-1": 0, "new": 1, "old-2": 1}


def test_the_corpus_is_balanced_by_its_durations():
    seconds = durations.load(standard_corpus() / "durations.toml")
    place = split.share(seconds, (), seconds, 3)
    loads = [sum(seconds[suite] for suite, where in place.items() if where == index) for index in range(3)]
    assert max(loads) <= max(4 / 3 * sum(loads) / 3, max(seconds.values()))


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3", "1/3/4", "", "/"])
def test_a_shard_counts_from_one(text):
    with pytest.raises(UsageError, match="use I/N with I from 1 to N"):
        split.parse(text)
    assert split.parse("3/3") == (2, 3)


@pytest.mark.parametrize("text", ["[seconds]\na = 'x'\n", "seconds = 3\n", "nothing = 1\n", "no toml"])
def test_durations_that_are_none(tmp_path, text):
    path = tmp_path / "durations.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match="has no durations"):
        durations.load(path)


def _outcome(path: Path) -> dict[str, str]:
    return {str(result.id): str(result.verdict) for result in stream.read(path).results}


@pytest.mark.timeout(240)
def test_merged_shards_are_the_whole_run_on_the_reference(conform, tmp_path):
    """Real suites, timing ones among them, one of them with tests that fail and block others across suites."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for name in ("actor_vars", "state_coercion", "overload", "save_state", "kv"):
        shutil.copy(standard_corpus() / f"test_{name}.py", corpus)
    write_corpus(corpus, zeta=ROOT_CAUSE, eta_timing=DEPENDANT)
    common = ("run", "--corpus", str(corpus), "--encoding", "json", "--jobs", "2", "--evidence", str(tmp_path / "evidence"))
    conform(*common, "--events", "whole.ndjson", status=1)
    whole = stream.read(tmp_path / "whole.ndjson")
    parts = []
    for number in (1, 2, 3):
        name = f"part-{number}.ndjson"
        conform(*common, "--durations", "whole.ndjson", "--shard", f"{number}/3", "--events", name, status=(0, 1))
        parts.append(stream.read(tmp_path / name))
    suites = [{result.id.suite for result in part.results} for part in parts]
    assert sum(map(len, suites)) == len(set().union(*suites)) == 7
    assert any({"zeta", "eta-timing"} <= one for one in suites)
    conform("report", "merge", *(f"part-{number}.ndjson" for number in (3, 1, 2)), "-o", "merged.ndjson", status=1)
    merged = stream.read(tmp_path / "merged.ndjson")
    assert merged.counts() == whole.counts()
    assert _outcome(tmp_path / "merged.ndjson") == _outcome(tmp_path / "whole.ndjson")
    assert {str(one.id.test): str(one.verdict) for one in merged.bad} == {"zeta::test_bad": "fail", "eta-timing::test_too": "blocked"}
    assert not merged.problems

    text = conform("report", "merge", "part-1.ndjson", "part-3.ndjson", "-o", "half.ndjson", status=2)
    assert "problem: shard 2/3 is missing" in text


def test_more_shards_than_suites_and_bad_shards_are_said(conform, tmp_path):
    corpus = write_corpus(tmp_path / "corpus", alpha=PLAIN, beta_timing=PLAIN)
    target = ("--target", "tests.harness.fake_target:make", "--storage", "memory", "--encoding", "json", "--jobs", "1")
    common = ("run", "--corpus", str(corpus), *target)
    assert "shard 3/3 is empty: there are 2 suites to share" in conform(*common, "--shard", "3/3", status=2)
    assert "use I/N with I from 1 to N, such as 1/4" in conform(*common, "--shard", "0/3", status=2)
    assert "is no event stream" in conform(*common, "--shard", "1/2", "--durations", "nowhere", status=2)
    text = conform(*common, "--shard", "2/2")
    assert "2 collected, 2 passed" in text
    assert "beta-timing" in text
