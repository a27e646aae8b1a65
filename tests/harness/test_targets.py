"""Targets in processes of their own: the handshake, the port form, and every way in which a start can fail."""

from __future__ import annotations

import sys

import httpx
import pytest

from harness.errors import TargetError, UsageError
from harness.targets import TargetOptions, resolve, rivetkit
from harness.targets.process import CommandTarget, TargetProcess

SERVER = """
import http.server, json, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"ok")
    def log_message(self, *arguments):
        print("served", self.path, file=sys.stderr, flush=True)
port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
server = http.server.HTTPServer(("127.0.0.1", port), Handler)
if not port:
    url = f"http://127.0.0.1:{server.server_port}"
    print(json.dumps({"endpoint": url, "namespace": "n", "token": "t"}), flush=True)
print("chatter on standard output", flush=True)
server.serve_forever()
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "server.py"
    path.write_text(SERVER)
    return str(path)


@pytest.mark.parametrize("by_port", [False, True])
async def test_a_command_says_where_it_answers_or_is_told(script, by_port, eventually_here):
    extra = ("{port}",) if by_port else ()
    target = CommandTarget((sys.executable, script, *extra))
    endpoint = await target.start("external")
    assert (endpoint.namespace, endpoint.token) == (("default", None) if by_port else ("n", "t"))
    async with httpx.AsyncClient() as http:
        assert (await http.get(f"{endpoint.url}/x")).text == "ok"
    log = target.log_file
    await eventually_here(lambda: "served /x" in log.read_text() and "chatter" in log.read_text())
    await target.stop()
    assert not log.exists()
    async with httpx.AsyncClient() as http:
        with pytest.raises(httpx.ConnectError):
            await http.get(endpoint.url)


@pytest.fixture
def eventually_here():
    from harness.testing.eventually import Eventually

    return Eventually()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "import sys; print('no luck', file=sys.stderr); sys.exit(3)",
            r"ended with status 3 before it was ready; its log ends with:\nno luck",
        ),
        ("print('hello')", "the first line on standard output is no handshake: 'hello'"),
        ("print('[1]')", "no handshake"),
        ("import time; time.sleep(60)", r"printed no endpoint within 0\.5 s"),
    ],
)
async def test_a_start_that_fails_says_why(code, message):
    process = TargetProcess([sys.executable, "-c", code])
    with pytest.raises(TargetError, match=message):
        await process.start(ready=0.5 if "sleep" in code else 30)
    await process.stop()


async def test_a_command_that_does_not_exist_is_a_target_error():
    process = TargetProcess(["/no/such/program"])
    with pytest.raises(TargetError, match="could not be started"):
        await process.start()
    await process.stop()


def test_commands_are_named_by_cmd():
    target = resolve(TargetOptions("cmd:serve --port {port} 'a b'", name="mine", capabilities="overload"))
    assert isinstance(target, CommandTarget)
    assert (target.command, target.name, target.capabilities) == (("serve", "--port", "{port}", "a b"), "mine", {"overload"})
    with pytest.raises(UsageError, match="names no command"):
        resolve(TargetOptions("cmd:"))


@pytest.mark.parametrize(("version", "message"), [(None, "node was not found"), ("v16.1.0", "node here is v16.1.0")])
def test_without_a_usable_node_the_live_peer_has_status_2(conform, tmp_path, monkeypatch, version, message):
    (tmp_path / "bin").mkdir()
    if version is not None:
        node = tmp_path / "bin" / "node"
        node.write_text(f"#!/bin/sh\necho {version}\n")
        node.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin" if version else str(tmp_path / "bin"))
    assert f"conform: {rivetkit.NEED}; {message}" in conform("run", "--target", "rivetkit", status=2)


def test_missing_packages_are_installed_into_the_cache_once(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    (home / "start.mjs").write_text("")
    (home / "package.json").write_text("{}")
    npm = tmp_path / "npm"
    npm.write_text('#!/bin/sh\necho "$@" >> "$0.calls"\nmkdir node_modules\n')
    npm.chmod(0o755)
    monkeypatch.setattr(rivetkit, "HOME", home)
    monkeypatch.setattr(rivetkit.shutil, "which", lambda name: str(npm))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    place = rivetkit.installed()
    assert (place / "start.mjs").exists()
    assert (place / "node_modules").is_dir()
    assert rivetkit.installed() == place
    assert (tmp_path / "npm.calls").read_text().count("install") == 1
    (home / "start.mjs").write_text("// another checkout's\n")
    other = rivetkit.installed()
    assert (place / "start.mjs").read_text() == "", "what a registry may be running on is never overwritten"
    assert (other / "start.mjs").read_text() == "// another checkout's\n"
    assert (tmp_path / "npm.calls").read_text().count("install") == 1
    (home / "package.json").write_text('{"private": true}')
    npm.write_text("#!/bin/sh\necho offline >&2\nexit 1\n")
    with pytest.raises(TargetError, match=r"(?s)could not install.*offline"):
        rivetkit.installed()
