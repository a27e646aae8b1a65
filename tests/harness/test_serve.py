"""`conform serve` and the targets made of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from harness.errors import TargetError
from harness.targets import TargetOptions, resolve
from harness.targets.reference import ReferenceTarget, serve_standard, switches

ROOT = Path(__file__).parents[2]


@pytest.fixture
def served(tmp_path, request):
    options = ["--port", "0", "--storage", str(tmp_path / "data"), *getattr(request, "param", ())]
    command = [sys.executable, "-m", "harness.cli", "serve", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


def test_the_first_line_is_the_endpoint_and_it_answers(served):
    process, ready = served
    assert ready["pid"] == process.pid
    with httpx.Client(base_url=ready["endpoint"]) as http:
        assert http.get("/health").json()["status"] == "ok"
        made = http.post("/namespaces", json={"name": "elsewhere", "display_name": "Elsewhere"})
        assert made.status_code == 200
        put = {"datacenters": {"default": {"normal": {}}}}
        assert http.put("/runner-configs/any-pool", params={"namespace": "elsewhere"}, json=put).status_code == 200
        body = {"name": "counter", "key": "k", "runner_name_selector": "any-pool", "crash_policy": "sleep"}
        assert http.put("/actors", params={"namespace": "elsewhere"}, json=body).json()["created"] is True


@pytest.mark.parametrize("served", [("--token", "secret")], indirect=True)
def test_a_token_guards_what_operators_ask(served):
    _, ready = served
    with httpx.Client(base_url=ready["endpoint"]) as http:
        assert http.get("/namespaces").status_code == 403
        assert http.get("/namespaces", headers={"authorization": f"Bearer {ready['token']}"}).status_code == 200


@pytest.mark.parametrize("served", [("--synchronous", "full")], indirect=True)
def test_data_can_be_made_to_outlive_a_power_cut(served, monkeypatch):
    _, ready = served
    assert httpx.get(ready["endpoint"] + "/health").json()["status"] == "ok"


def test_what_is_no_address_of_a_proxy_is_a_clear_error():
    with pytest.raises(TargetError, match=r"trusted proxy '1\.2\.3' is neither an address, a network, nor `unix`"):
        serve_standard("127.0.0.1", 0, "memory", print, proxies=("1.2.3",))


def test_a_signal_ends_it_in_order(served):
    process, _ = served
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_a_taken_port_is_a_clear_error(served):
    _, ready = served
    port = ready["endpoint"].rpartition(":")[2]
    command = [sys.executable, "-m", "harness.cli", "serve", "--port", port]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=30, check=False, env=dict(os.environ))
    assert done.returncode == 2
    assert f"cannot serve on 127.0.0.1:{port}" in done.stderr


@pytest.mark.parametrize("spec", ["reference", "reference-process"])
@pytest.mark.parametrize("storage", ["sqlite", "memory"])
async def test_the_reference_targets_start_answer_and_stop(spec, storage):
    target = resolve(TargetOptions(spec=spec))
    endpoint = await target.start(storage)
    async with httpx.AsyncClient(base_url=endpoint.url) as http:
        assert (await http.get("/health")).status_code == 200
    await target.stop()
    async with httpx.AsyncClient(base_url=endpoint.url) as http:
        with pytest.raises(httpx.ConnectError):
            await http.get("/health")


@pytest.mark.virtual_time
async def test_the_reference_runs_on_virtual_time():
    target = ReferenceTarget()
    endpoint = await target.start("sqlite")
    async with httpx.AsyncClient(base_url=endpoint.url) as http:
        assert (await http.get("/metadata")).status_code == 200
    await target.stop()


async def test_an_unreachable_url_is_a_target_error():
    from harness.targets import url

    with pytest.raises(TargetError, match=r"http://127.0.0.1:9/health did not answer 200"):
        await url.reach("http://127.0.0.1:9", timeout=0.3)


def test_switches_of_the_environment_become_options(monkeypatch):
    for name in ("VITEST", "_RIVET_TEST_INSPECTOR_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    assert switches() == {"inspector_token": None, "answers_probes": False}
    monkeypatch.setenv("VITEST", "1")
    monkeypatch.setenv("_RIVET_TEST_INSPECTOR_TOKEN", "fixed")
    assert switches() == {"inspector_token": "fixed", "answers_probes": True}


@pytest.mark.parametrize("served", [(), ("--allow-origin", "https://a.example", "--allow-host", "dev.example")], indirect=True)
def test_pages_and_names_of_elsewhere_are_let_in_when_they_are_named(served, request):
    _, ready = served
    allowed = bool(request.node.callspec.params["served"])
    with httpx.Client(base_url=ready["endpoint"]) as http:
        for headers in ({"origin": "https://a.example"}, {"host": "dev.example"}):
            assert http.get("/metadata", headers=headers).status_code == (200 if allowed else 403)
        assert http.get("/metadata", headers={"origin": "https://b.example"}).status_code == 403


@pytest.mark.parametrize("served", [("--host", "0.0.0.0")], indirect=True)
def test_other_machines_get_a_token_that_was_made(served):
    _, ready = served
    with httpx.Client(base_url=ready["endpoint"]) as http:
        assert http.get("/namespaces").status_code == 403
        assert http.get("/namespaces", headers={"authorization": f"Bearer {ready['token']}"}).status_code == 200


def test_a_page_that_is_none_cannot_be_allowed():
    command = [sys.executable, "-m", "harness.cli", "serve", "--port", "0", "--allow-origin", "a.example"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=30)
    assert (done.returncode, "scheme://host" in done.stderr, "Traceback" in done.stderr) == (2, True, False)
