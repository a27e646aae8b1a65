"""Real engines; where a program is missing these tests are skipped, and it is said which."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from harness.errors import TargetError
from harness.targets.engine_binary import engine_binary
from harness.targets.engine_store import database_programs, message_program
from tests.engine.cluster import cluster_of_two
from tests.engine.engines import PATIENT, Engine
from tests.engine.envoys import prepare

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.engine.cluster import Cluster


@pytest.fixture(scope="session")
def program() -> Path:
    """As of the target `engine`, fetched when it is not there; fetching has a limit of its own, so the tests' limit leaves it out."""
    try:
        return engine_binary()
    except TargetError as error:
        pytest.skip(str(error))


@pytest_asyncio.fixture
async def engine(program: Path) -> AsyncIterator[Engine]:
    """One engine with short thresholds and a pool that is set up."""
    async with Engine(program) as running:
        await prepare(running.url)
        yield running


@pytest_asyncio.fixture
async def patient_engine(program: Path) -> AsyncIterator[Engine]:
    """One engine with the thresholds that it has by default."""
    async with Engine(program, PATIENT) as running:
        await prepare(running.url)
        yield running


@pytest.fixture(scope="session")
def _servers() -> None:
    """PostgreSQL and NATS."""
    try:
        database_programs()
        message_program()
    except TargetError as error:
        pytest.skip(str(error))


@pytest_asyncio.fixture
async def cluster(program: Path, _servers: None, tmp_path: Path) -> AsyncIterator[Cluster]:
    """Two engines on one PostgreSQL and NATS."""
    async with cluster_of_two(program, tmp_path / "store.log") as running:
        await prepare(running.nodes[0].url)
        yield running
