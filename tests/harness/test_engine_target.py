"""The target `engine` without an engine: where its program comes from, how it is configured, and a small program in its place."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import signal
import sys
import tarfile

import httpx
import pytest

from harness.errors import TargetError, UsageError
from harness.targets import TargetOptions, engine, engine_binary, engine_process, engine_store, prepare, resolve
from harness.targets.engine import EngineTarget
from harness.targets.engine_binary import LOCKED, VARIABLE, Package, archive_url
from harness.targets.engine_process import EngineProcess, EngineSettings, Ports, configuration, environment, free_ports

PACKAGE = LOCKED["linux", "x86_64"]


def archive(content=b"an engine", name="package/rivet-engine"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as members:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        members.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def registry(monkeypatch, tmp_path):
    """A registry with one package, locked as it is there; the list of what was asked for."""
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY", "npm_config_userconfig", VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    there = archive()
    integrity = f"sha512-{base64.b64encode(hashlib.sha512(there).digest()).decode()}"
    monkeypatch.setattr(engine_binary, "LOCKED", {("linux", "x86_64"): Package(PACKAGE.name, integrity)})
    monkeypatch.setattr(engine_binary.sys, "platform", "linux")
    monkeypatch.setattr(engine_binary.platform, "machine", lambda: "x86_64")
    asked = []

    def answer(request):
        asked.append(str(request.url))
        return httpx.Response(200, stream=httpx.ByteStream(registry_has[0]))

    registry_has = [there]
    serve(monkeypatch, answer)
    return asked, registry_has


def serve(monkeypatch, answer):
    http = httpx.Client(transport=httpx.MockTransport(answer))
    monkeypatch.setattr(engine_binary.httpx, "stream", lambda *given, **options: http.stream(*given, **options))


def test_the_program_is_fetched_once_and_without_npm(registry, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "")
    program = engine_binary.engine_binary()
    assert program.read_bytes() == b"an engine"
    assert program.stat().st_mode & 0o777 == 0o755
    assert program.is_relative_to(tmp_path / "cache" / "actor-conformance")
    assert [path.name for path in program.parent.iterdir()] == ["rivet-engine"]
    assert engine_binary.engine_binary() == program
    url = "https://registry.npmjs.org/@rivetkit/engine-cli-linux-x64-musl/-/engine-cli-linux-x64-musl-2.3.11.tgz"
    assert registry[0] == [url]


def test_another_archive_is_not_unpacked(registry, tmp_path):
    registry[1][0] = archive(b"something else")
    with pytest.raises(TargetError, match=r"engine-cli-linux-x64-musl-2.3.11.tgz is not the locked package: its digest is sha512-"):
        engine_binary.engine_binary()
    assert not list((tmp_path / "cache" / "actor-conformance").iterdir())


def test_an_archive_without_end(registry, monkeypatch):
    monkeypatch.setattr(engine_binary, "LARGEST", 10)
    with pytest.raises(TargetError, match="more than"):
        engine_binary.engine_binary()


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (httpx.Response(404), r"needs http://host/npm/@rivetkit/.*\.tgz, which could not be fetched \(HTTPStatusError: .*404"),
        (
            httpx.ConnectError("no way out"),
            r"could not be fetched \(ConnectError: no way out\); or name a program in RIVET_ENGINE_BINARY_PATH",
        ),
    ],
)
def test_a_registry_that_has_it_not(registry, monkeypatch, outcome, said):
    def answer(request):
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    serve(monkeypatch, answer)
    monkeypatch.setenv("npm_config_registry", "http://me:secret@host/npm/")
    with pytest.raises(TargetError, match=said) as raised:
        engine_binary.engine_binary()
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("file", "variables", "expected"),
    [
        ("", {}, "https://registry.npmjs.org"),
        ("registry=https://mirror/a/\n", {}, "https://mirror/a"),
        (
            "; registry=https://no\n# registry=https://no\n registry = 'https://mirror/$PART'\nfund=false\n",
            {"PART": "b"},
            "https://mirror/b",
        ),
        ("registry=https://mirror/\n", {"NPM_CONFIG_REGISTRY": "http://near:4873"}, "http://near:4873"),
        ("registry=https://mirror/\n", {"npm_config_registry": ""}, "https://mirror"),
        ("@rivetkit:registry=https://theirs\n", {"npm_config_registry": "http://near"}, "https://theirs"),
    ],
)
def test_the_registry_is_that_of_npm(registry, monkeypatch, tmp_path, file, variables, expected):
    (tmp_path / ".npmrc").write_text(file)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert archive_url(PACKAGE).startswith(f"{expected}/@rivetkit/engine-cli-linux-x64-musl/-/")


def test_a_program_of_ones_own(registry, monkeypatch, tmp_path):
    mine = tmp_path / "engine"
    mine.write_text("")
    monkeypatch.setenv(VARIABLE, str(mine))
    with pytest.raises(TargetError, match=f"{VARIABLE} names .*engine, which is no program"):
        engine_binary.engine_binary()
    mine.chmod(0o755)
    assert engine_binary.engine_binary() == mine
    assert registry[0] == []


def test_a_platform_without_one_has_status_2(registry, conform, monkeypatch):
    monkeypatch.setattr(engine_binary.platform, "machine", lambda: "riscv64")
    said = "the target engine has no program for linux on riscv64; get one of version 2.3.11 and name it in RIVET_ENGINE_BINARY_PATH"
    assert f"conform: {said}" in conform("gate", "--target", "engine", status=2)
    assert f"conform: {said}" in conform("run", "--target", "engine", status=2)


def test_what_is_locked_is_a_digest():
    for package in LOCKED.values():
        assert len(base64.b64decode(package.integrity.removeprefix("sha512-"), validate=True)) == 64


def test_the_configuration_of_one_engine():
    ports = Ports(1, 2, 3)
    made = configuration(ports, EngineSettings({"envoy_lost_threshold": 2000, "gateway_websocket_rate_limit_requests": 5}))
    assert made["topology"]["datacenters"]["default"]["public_url"] == "http://127.0.0.1:1"
    assert made["topology"]["datacenters"]["default"]["peer_url"] == "http://127.0.0.1:2"
    assert made["pegboard"] == {
        "actor_create_rate_limit_requests": 100_000, "gateway_websocket_rate_limit_requests": 5, "envoy_lost_threshold": 2000,
    }  # fmt: skip
    assert json.loads(json.dumps(made)) == made


def test_several_share_their_store_and_one_datacenter(tmp_path):
    store = {"postgres": {"url": "postgresql://x"}, "nats": {"addresses": ["y:1"]}}
    settings = EngineSettings(store=store, leader=Ports(7, 8, 9))
    made = configuration(Ports(1, 2, 3), settings)
    assert made["topology"]["datacenters"]["default"]["public_url"] == "http://127.0.0.1:7"
    assert made | store == made
    assert "RIVET__FILE_SYSTEM__PATH" not in environment(Ports(1, 2, 3), settings, tmp_path)


def test_the_environment_of_an_engine(monkeypatch, tmp_path):
    monkeypatch.setenv("RIVET__GUARD__PORT", "80")
    monkeypatch.setenv("rivet__pegboard__envoy_lost_threshold", "1")
    monkeypatch.delenv("RUST_LOG", raising=False)
    made = environment(Ports(1, 2, 3), EngineSettings(), tmp_path / "db")
    assert {name: value for name, value in made.items() if name.upper().startswith("RIVET__")} == {
        "RIVET__GUARD__HOST": "127.0.0.1", "RIVET__GUARD__PORT": "1",
        "RIVET__API_PEER__HOST": "127.0.0.1", "RIVET__API_PEER__PORT": "2",
        "RIVET__METRICS__HOST": "127.0.0.1", "RIVET__METRICS__PORT": "3",
        "RIVET__TELEMETRY__ENABLED": "false", "RIVET__FILE_SYSTEM__PATH": str(tmp_path / "db"),
    }  # fmt: skip
    assert made["RUST_LOG"] == "warn"
    assert "PATH" in made


def test_ports_are_different():
    ports = free_ports()
    assert len({ports.gateway, ports.peer, ports.metrics}) == 3


def test_a_file_makes_several_of_it(tmp_path):
    path = tmp_path / "cluster.toml"
    path.write_text('name = "engine-cluster"\nentry-point = "engine"\nprofile = "seed"\nnodes = 2\nenvoys = 3\n')
    target = resolve(TargetOptions(str(path)))
    assert isinstance(target, EngineTarget)
    assert (target.name, target._nodes, target._envoys) == ("engine-cluster", 2, 3)
    assert resolve(TargetOptions("engine")).name == "engine"
    for wrong in ('url = "http://a"\nnodes = 2', 'entry-point = "engine"\nnodes = 0'):
        path.write_text(f'name = "a"\n{wrong}\n')
        with pytest.raises(UsageError, match="nodes"):
            resolve(TargetOptions(str(path)))


def test_the_file_that_comes_with_the_project():
    target = resolve(TargetOptions("targets/engine/cluster.toml"))
    assert (target.name, target._nodes, target._envoys) == ("engine-cluster", 2, 1)


def test_several_need_more_programs(registry, monkeypatch):
    monkeypatch.setattr(engine_store.shutil, "which", lambda *given, **options: None)
    with pytest.raises(TargetError, match=r"apt-get install postgresql nats-server\); nats-server was not found"):
        engine_store.message_program()
    monkeypatch.setattr(engine_store.Path, "glob", lambda *given: [])
    with pytest.raises(TargetError, match="initdb was not found"):
        prepare(EngineTarget(nodes=2))


ENGINE = """#!{python} -ISE
import os, socket, sys
if os.environ.get("ENGINE_TEST") == "broken":
    sys.exit("unknown field `zork`")
print("engine starts", flush=True)
with socket.create_server(("127.0.0.1", int(os.environ["RIVET__GUARD__PORT"]))) as server:
    while True:
        connection, _ = server.accept()
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\\r\\ncontent-length: 0\\r\\nconnection: close\\r\\n\\r\\n")
        connection.close()
"""
SERVE = """
import json, signal, sys
said = dict(zip(sys.argv[1::2], sys.argv[2::2]))
print("envoy starts", file=sys.stderr, flush=True)
about = {"endpoint": said["--engine"], "namespace": said["--namespace"], "pool": said["--pool"], "token": said["--token"]}
print(json.dumps(about), flush=True)
signal.signal(signal.SIGTERM, lambda *_: (print("envoy drained", file=sys.stderr, flush=True), sys.exit()))
signal.pause()
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    path = tmp_path / "rivet-engine"
    path.write_text(ENGINE.replace("{python}", sys.executable))
    path.chmod(0o755)
    monkeypatch.setenv(VARIABLE, str(path))
    monkeypatch.setattr(engine_process.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(engine, "SERVE", (sys.executable, "-ISE", "-c", SERVE))
    return path


async def test_it_starts_and_stops_and_leaves_nothing(program, tmp_path):
    target = EngineTarget(envoys=2)
    before = set(tmp_path.iterdir())
    endpoint = await target.start("engine")
    assert (endpoint.namespace, endpoint.pool, endpoint.token) == ("conform", "default", "dev")
    async with httpx.AsyncClient() as http:
        assert (await http.get(endpoint.url)).status_code == 200
    assert target.log_file.read_text().splitlines()[:3] == ["engine starts", "envoy starts", "envoy starts"]
    ended = asyncio.ensure_future(target.ended())
    await asyncio.sleep(0)
    pid = target._processes[0].pid
    engine_process.os.kill(pid, signal.SIGKILL)
    assert (await ended).startswith("the engine ended by SIGKILL; its log ends with:\n")
    with target.log_file.open() as log:
        await target.stop()
        assert log.read().count("envoy drained") == 2
    assert set(tmp_path.iterdir()) == before


async def test_an_engine_that_does_not_come_up_says_why(program, tmp_path, monkeypatch):
    monkeypatch.setenv("ENGINE_TEST", "broken")
    target = EngineTarget()
    with pytest.raises(TargetError, match=r"(?s)it ended with status 1 before it was ready; its log ends with:.*unknown field `zork`"):
        await target.start("engine")
    await target.stop()
    assert [path.name for path in tmp_path.iterdir()] == ["rivet-engine"]


async def test_its_data_outlives_a_halt(program):
    async with EngineProcess(program) as made:
        (made.directory / "db").write_text("data")
        await made.halt(signal.SIGKILL)
        await made.start()
        assert (made.directory / "db").read_text() == "data"
        assert made.log_file.read_text() == "engine starts\n" * 2
    assert not made.directory.exists()


async def test_a_store_that_is_not_taken(program):
    made = EngineProcess(program, EngineSettings(store={"nats": {"addresses": []}}))
    program.write_text(f"#!{sys.executable}\nprint('memory: Memory {{')\n")
    with pytest.raises(TargetError, match=r"did not take nats of its configuration; it has:\nmemory: Memory"):
        await made.start()
    await made.close()
