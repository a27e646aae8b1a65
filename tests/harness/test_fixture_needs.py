"""Which suite needs which fixture actors."""

from __future__ import annotations

from pathlib import Path

import harness
from fixtures import standard_registry
from harness.run.doctor import OURS
from harness.run.hosted_actors import by_suite
from harness.standard_corpus import standard_corpus


def test_names_are_found_in_calls_parameters_and_helpers(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text('NAME = "interpreterDb"\n')
    (tmp_path / "test_one.py").write_text(
        'from corpus.helper import NAME\nfrom harness.testing.interpreter import made\npytestmark = [suite("one")]\n'
        'conform.get_or_create("counter")\nconform.create("noSuchActor")\nconform.create("destroyActor")\n'
    )
    (tmp_path / "test_two.py").write_text('pytestmark = suite("two")\nfor name in ("destroyActor", "words", "counter"):\n    pass\n')
    assert by_suite(tmp_path) == {
        "one": ["counter", "destroyActor", "interpreterDb", "interpreterLatch", "interpreterTrace"],
        "two": ["destroyActor"],
    }


def test_every_actor_of_the_corpus_is_in_the_catalogue_that_is_shipped() -> None:
    shipped = "".join(page.read_text(encoding="utf-8") for page in (Path(harness.__file__).parent / "reference").rglob("*.md"))
    assert len(shipped) > 100_000
    names = {name for names in by_suite(standard_corpus()).values() for name in names}
    assert sorted(name for name in names - OURS.keys() if f"`{name}`" not in shipped) == []


def test_every_name_of_the_corpus_is_one_of_the_fixtures() -> None:
    found = by_suite(standard_corpus())
    hosted = {definition.name for definition in standard_registry()}
    assert {name for names in found.values() for name in names} - hosted == set()
    assert "interpreterWorkflow" in found["workflow-steps"] and "workflowCounterActor" in found["workflow-details"]
