"""The operator token stands in nothing that a run leaves behind, whatever the target and the tests do with it."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest
from typer.testing import CliRunner

from harness.cli.app import app
from harness.errors import UsageError
from harness.run import doctor
from harness.targets import TargetOptions, resolve
from tests.harness.app_server import AppServer
from tests.harness.fake_app import FakeApp
from tests.harness.sample import request, write_corpus
from tests.harness.test_masking import FORMS

TOKEN = "sekret/+123&ü"
TALKATIVE = '''
import base64, json, os, sys
from urllib.parse import quote

@requirement("TASK-001")
async def test_shows_it(conform, record_property):
    """It shows the token in every way there is."""
    token = conform.token
    pathlib.Path(os.environ["SEEN"]).write_bytes(pathlib.Path("/proc/self/cmdline").read_bytes())
    print("captured", token, json.dumps(token), repr(token.encode()))
    print("stderr", quote(token), file=sys.stderr)
    basic = base64.b64encode(f"user:{token}".encode()).decode()
    await conform.http.post(f"/gateway/a/request/x?rvt-token={quote(token, safe='')}", content=token, headers={"x-basic": basic})
    await conform.http.post("/json", json={"a": [token]}, headers={"x-any": token.encode()})
    await conform.http.post("/bytes", content=b"\\xff\\x00" + token.encode() + b"\\xfe")
    await conform.http.get("/actors", params={"actor_ids": "0123456789abcdefghijklmnopqrst", "t": token})
    await conform.http.post("/long", content="x" * 1990 + token + "y" * 5000)
    conform.transcript.mark(f"mark {token}")
    assert {"name": f"Bearer {token}", "pad": "p" * 300} == {}, f"no {token}"

@requirement("TASK-001")
async def test_cut(conform):
    """A failure whose message is shortened by pytest."""
    assert ("p" * 100 + conform.token + "q" * 400) == "no"

@requirement("TASK-001")
async def test_raises(conform):
    """An error of another kind, in a fixture of the harness."""
    raise HarnessError(f"cannot use {conform.token}")
'''
CRASHING = '''
import os

@requirement("TASK-001")
async def test_crash(conform, capfd):
    """The worker dies with the token on its lips."""
    with capfd.disabled():
        os.write(2, f"fatal: {conform.token}\\n".encode())
        os._exit(3)
'''


class EchoApp(FakeApp):
    """Answers with what it was asked, headers included."""

    async def __call__(self, scope, receive, send) -> None:
        async def answer(message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [(b"x-asked", scope["query_string"]), (b"x-url", scope["raw_path"])]}
            await send(message)

        await super().__call__(scope, receive, answer)


@pytest.fixture(scope="module")
def url():
    """A target on a thread of its own, as `conform run` has the loop of this one."""
    loop = asyncio.new_event_loop()
    server = AppServer(EchoApp())
    answer = loop.run_until_complete(server.start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield answer
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def leaks(text: bytes) -> list[str]:
    """The forms in which the token stands in a text."""
    return [name for name, form in FORMS.items() if form(TOKEN).encode() in text]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("where", ["variable", "option"])
def test_nothing_that_a_run_leaves_has_the_token(tmp_path, url, monkeypatch, where):
    corpus = write_corpus(tmp_path / "corpus", alpha=TALKATIVE, beta=CRASHING)
    left = tmp_path / "left"
    left.mkdir()
    monkeypatch.setenv("SEEN", str(left / "cmdline"))
    monkeypatch.setattr(doctor, "PATIENCE", 0.1)  # the application answers hardly anything of what a doctor asks
    given = ("--token", TOKEN) if where == "option" else ()
    if where == "variable":
        monkeypatch.setenv("CONFORM_TOKEN", TOKEN)
    shown = []

    def conform(*arguments: str) -> None:
        shown.append(CliRunner().invoke(app, list(arguments)).output)

    events = str(left / "run.ndjson")
    run = ("run", "--target", url, *given, "--corpus", str(corpus), "--encoding", "json", "--jobs", "1", "--timelines")
    conform(*run, "--events", events, "--junit", str(left / "run.xml"), "--evidence", str(left / "evidence"))
    conform("report", "html", events, "-o", str(left / "run.html"))
    conform("report", "markdown", events, "-o", str(left / "run.md"))
    conform("doctor", "--target", url, *given, "--corpus", str(corpus))
    assert "FAIL alpha::test_shows_it" in shown[0]
    assert "fatal: ***" in shown[0]  # the worker's last words reach the reader
    files = [path for path in left.rglob("*") if path.is_file()]
    assert {"run.ndjson", "run.xml", "run.html", "run.md", "cmdline", "transcript.ndjson", "failure.txt", "target.log"} <= {
        path.name for path in files
    }
    assert {str(path.relative_to(left)): found for path in files if (found := leaks(path.read_bytes()))} == {}
    assert [leaks(text.encode()) for text in shown] == [[], [], [], []]
    # What is left of the failure is still of use.
    transcript = next(left.rglob("*shows_it*")) / "transcript.txt"
    assert "rvt-token=***" in transcript.read_text()
    assert "no ***" in (left / "run.xml").read_text()


def test_a_secret_that_is_a_common_word_changes_no_verdict(tmp_path, url, monkeypatch):
    monkeypatch.setenv("CONFORM_TOKEN", "test")
    source = '@requirement("TASK-001")\nasync def test_one(conform):\n    """A test."""\n    assert conform.token == "pass"\n'
    corpus = write_corpus(tmp_path / "corpus", test=source)
    arguments = ["run", "--target", url, "--corpus", str(corpus), "--encoding", "json", "--jobs", "1", "--events", str(tmp_path / "e")]
    assert CliRunner().invoke(app, [*arguments, "--evidence", str(tmp_path / "left")]).exit_code == 1
    results = [json.loads(line) for line in (tmp_path / "e").read_text().splitlines() if '"event": "result"' in line]
    assert [(one["id"], one["verdict"]) for one in results] == [("test::test_one[json-external]", "fail")]


def test_the_arguments_of_a_worker_hold_no_token(tmp_path):
    assert not leaks("\0".join(request(tmp_path, target=TargetOptions("http://h", token=TOKEN)).arguments()).encode())


def test_a_url_with_a_token_in_it_is_refused():
    with pytest.raises(UsageError, match="use http://h:1, --namespace, and the token in CONFORM_TOKEN") as refused:
        resolve(TargetOptions(f"http://default:{TOKEN.replace('/', '%2F')}@h:1"))
    assert "sekret" not in str(refused.value)
