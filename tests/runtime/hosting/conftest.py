import pytest

from runtime.hosting.standalone import supervisor
from tests.runtime.hosting.fake_generation import FakeGeneration


@pytest.fixture
def fake(monkeypatch):
    """The host starts fake generations."""
    FakeGeneration.reset()
    monkeypatch.setattr(supervisor, "ActorTask", FakeGeneration)
    return FakeGeneration
