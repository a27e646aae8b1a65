"""Programs run on uvloop where it is installed, and anywhere else as well."""

import asyncio
import sys

import pytest

from runtime.serving.event_loop import loop_factory, run_program


@pytest.fixture(params=["installed", "missing"])
def uvloop_is(request, monkeypatch):
    if request.param == "missing":
        monkeypatch.setitem(sys.modules, "uvloop", None)
    else:
        pytest.importorskip("uvloop")
    return request.param


def test_a_program_runs_on_the_fastest_loop_there_is(uvloop_is):
    ran_on = []

    async def main():
        ran_on.append(type(asyncio.get_running_loop()).__module__.partition(".")[0])

    run_program(main())
    assert ran_on == ["uvloop" if uvloop_is == "installed" else "asyncio"]


def test_nothing_is_chosen_where_there_is_none(uvloop_is):
    assert (loop_factory() is None) == (uvloop_is == "missing")
