"""Every sample that a reader may copy works: it is compiled, and run where a runtime in this process can run it."""

from __future__ import annotations

import asyncio
import builtins
import json
import re
import subprocess
import sys
import textwrap
import tomllib
from itertools import groupby

import pytest

from harness.session.virtual_loop import VirtualLoop
from tests.docs.samples import Sample, all_samples
from tests.docs.stage import loaded, names, perform

SAMPLES = all_samples()
PYTHON = [sample for sample in SAMPLES if sample.language == "python"]
READ = {"toml": tomllib.loads, "json": json.loads, "python": lambda code: Sample("", "python", code).compiled()}
ONLY_COMPILED = {"harness/testing/marks.py:module"}
"""Shows marks around a test whose body it leaves out."""
FRAGMENT = '''
@requirement("TASK-001")
async def test_{name}({fixtures}):
    """A sample."""
    actor = conform.get_or_create("counter")
{body}
'''
FIXTURES = ("conform", "clock", "eventually", "boundary", "expect_error", "witness")
HEAD = """
from harness import any_encoding, capability, encodings, inconclusive, requirement, suite, timing, untimed
from harness.testing.codecs import ActionResponse, Event
pytestmark = [suite("{suite}")]
"""


def of_the_corpus(sample: Sample) -> bool:
    """Whether it is a driver test, or the inside of one."""
    return re.search(r"\bconform\b|pytestmark", sample.code) is not None


def as_tests(sample: Sample, number: int) -> str:
    """A sample that is a test as it stands, or one around it."""
    if "async def test_" in sample.code:
        return sample.code
    fixtures = [name for name in FIXTURES if name == "conform" or re.search(rf"\b{name}\b", sample.code)]
    return FRAGMENT.format(name=number, fixtures=", ".join(fixtures), body=textwrap.indent(sample.code, "    "))


def of_a_runtime() -> list[list[Sample]]:
    """What is played on a server, by page; the samples of docstrings one by one."""
    known = set(names()) | {"c", "client", "handle", "server", "registry", *dir(builtins)}
    played = [
        sample
        for sample in PYTHON
        if sample.place not in ONLY_COMPILED
        and not of_the_corpus(sample)
        # Docstrings of inner parts show names of their neighbours: such a sample is compiled, and no more.
        and (sample.for_users or loaded(sample.compiled()) <= known)
    ]
    return [list(group) for _, group in groupby(played, key=lambda sample: sample.place.partition(".md:")[0])]


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_every_block_is_of_its_language(sample):
    assert sample.language in {*READ, "sh", "text", "mermaid"}, "no language behind the fence"
    if sample.language in READ:
        READ[sample.language](sample.code)


@pytest.mark.parametrize("samples", of_a_runtime(), ids=lambda samples: samples[0].place)
def test_samples_run(samples, monkeypatch):
    with asyncio.Runner(loop_factory=VirtualLoop) as loop:
        loop.run(perform(samples, monkeypatch))


@pytest.mark.timeout(180)
def test_driver_tests_pass(tmp_path):
    """All in one process of plain pytest: it takes longer to start than they take."""
    corpus = [sample for sample in PYTHON if of_the_corpus(sample) and sample.place not in ONLY_COMPILED]
    for number, sample in enumerate(corpus):
        head = HEAD.format(suite=f"sample-{number}")
        (tmp_path / f"test_sample_{number}.py").write_text(head + as_tests(sample, number))
    options = ["--encoding", "json", "--storage", "memory", "--override-ini", "asyncio_mode=auto", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *options, "."], cwd=tmp_path, capture_output=True, text=True, timeout=150, check=False
    )
    assert done.returncode == 0, done.stdout
    assert int(re.findall(r"(\d+) passed", done.stdout)[-1]) >= len(corpus) > 2


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("c.state.count += ", SyntaxError),
        ("from runtime import Actro", ImportError),
        ("class A(Actor):\n    @action\n    def a(self, c): ...\n\nawait client.get_or_create('a', ['k']).b()", Exception),
        ("assert await c.queue.next(['jobs'], timeout=1) == 1", AssertionError),
        ("await c.queue.next(['jobs'])", AssertionError),
        ("await handle.resolve(1)", TypeError),
    ],
)
def test_a_broken_sample_fails(code, error, monkeypatch):
    with pytest.raises(error), asyncio.Runner(loop_factory=VirtualLoop) as loop:
        loop.run(perform([Sample("a page", "python", code)], monkeypatch))
