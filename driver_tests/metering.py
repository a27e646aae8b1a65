"""Reading a target's metrics: families by the end of their name, as runtimes prefix them differently."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from harness.testing.conform import Conform
    from harness.testing.eventually import Eventually
    from harness.testing.handles import TrackedHandle


@dataclass(frozen=True, slots=True)
class Figures:
    """One scrape, of the actors of one name."""

    samples: tuple[tuple[str, dict[str, str], float], ...]

    def find(self, name: str, **labels: str) -> list[tuple[dict[str, str], float]]:
        """The samples whose name ends in `name`, as whole words, and that have these labels."""
        return [
            (found, value)
            for sample, found, value in self.samples
            if (sample == name or sample.endswith(f"_{name}")) and labels.items() <= found.items()
        ]

    def value(self, name: str, **labels: str) -> float:
        """Their sum; a combination that was never used may be missing."""
        return sum(value for _, value in self.find(name, **labels))

    def label(self, name: str, label: str) -> set[str]:
        """The values that a label takes."""
        return {labels[label] for labels, _ in self.find(name) if label in labels}


async def scrape(conform: Conform, actor: TrackedHandle, name: str) -> Figures:
    """What `/metrics` of the actor says about all actors of its name."""
    path = f"/gateway/{await actor.resolve()}/metrics"
    response = await conform.http.get(path, headers={"x-rivet-token": conform.token} if conform.token else {})
    assert response.status_code == 200
    # A process may show hundreds of actor names; parsing those of others takes long.
    ours = "\n".join(line for line in response.text.splitlines() if f'actor_name="{name}"' in line)
    samples = (sample for family in text_string_to_metric_families(f"{ours}\n") for sample in family.samples)
    return Figures(tuple((sample.name, dict(sample.labels), sample.value) for sample in samples))


@asynccontextmanager
async def generation_over(conform: Conform, eventually: Eventually, name: str) -> AsyncIterator[None]:
    """Do not go on before an actor of that name has really stopped, as far as the target's metrics can tell.

    The manager shows the intent to sleep and the sleep alike (SLEEP-026). Without metrics there is nothing to wait for.
    """
    if not conform.has("metrics"):
        yield
        return
    other = conform.get_or_create("counter", conform.unique_key())
    before = (await scrape(conform, other, name)).value("stopped_total")
    yield
    await eventually(
        lambda: scrape(conform, other, name), until=lambda figures: figures.value("stopped_total") > before, what=f"the stop of {name}"
    )
