"""A name that is not there is answered with what was perhaps meant, wherever a person may type one."""

from __future__ import annotations

import pytest

from harness import capabilities
from harness.did_you_mean import MOST_NAMES, guesses, named
from harness.errors import UsageError
from harness.session.settings import check_lane, storages
from harness.targets import TargetOptions, resolve
from harness.targets.reference import ReferenceTarget
from harness.testing.marks import check_encodings
from tests.harness.sample import PLAIN, write_corpus

KNOWN = ["actor-sleep", "actor-vars", "overload", "actor-vars::test_static", "queue::test_static"]


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("actor-slep", "actor-slep (did you mean actor-sleep?)"),
        ("OVERLOAD", "OVERLOAD (did you mean overload?)"),
        ("test_static", "test_static (did you mean actor-vars::test_static or queue::test_static?)"),
        ("morse", "morse"),
        ("", ""),
    ],
)
def test_names_that_are_alike_are_offered(name, answer):
    assert named([name], KNOWN) == answer


def test_several_names_each_have_their_own_hint_and_thousands_take_no_time():
    assert (
        named(["actor-var", "morse", "overlaod"], KNOWN) == "actor-var (did you mean actor-vars?), morse, overlaod (did you mean overload?)"
    )
    many = named([f"overload{number}" for number in range(1000)], KNOWN)
    assert many.count("did you mean") == MOST_NAMES
    assert len(guesses("actor", [f"actor{number}" for number in range(1000)])) <= 3


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (lambda: check_encodings(["jsno"]), r"unknown encoding jsno \(did you mean json\?\); known: json, cbor, bare"),
        (lambda: capabilities.parse("metric,overlod"), r"metric \(did you mean metrics.*overlod \(did you mean overload\?\); known: "),
        (lambda: check_lane("paralel"), r"no lane paralel \(did you mean parallel\?\); there are: all, parallel, timing"),
        (lambda: storages(ReferenceTarget(), ("sqlit",)), r"no storage sqlit \(did you mean sqlite\?\); it has sqlite, memory"),
        (lambda: resolve(TargetOptions("refrence")), r"unknown target refrence \(did you mean reference"),
        (lambda: resolve(TargetOptions("rivet-kit")), r"unknown target rivet-kit \(did you mean rivetkit\?\)"),
    ],
)
def test_every_kind_of_name_is_answered(ask, answer):
    with pytest.raises(UsageError, match=answer):
        ask()


@pytest.mark.parametrize(
    "spec",
    [
        "localhost:6420",
        "localhost",
        "127.0.0.1",
        "127.0.0.1:6420",
        "example.org:80",
        "my-host:6420/base",
        "[::1]:6420",
        "[::1]",
        "localhost/api",
    ],
)
def test_an_address_without_a_scheme_says_so(spec):
    with pytest.raises(UsageError) as caught:
        resolve(TargetOptions(spec))
    assert str(caught.value) == f"target {spec!r} is an address without its scheme; use http://{spec}"


@pytest.mark.parametrize("spec", ["ftp://x", "htp://localhost:1", "ws://user:secret@host", "://x", "HTTP//://x"])
def test_another_scheme_is_refused_without_showing_what_follows(spec):
    with pytest.raises(UsageError, match="a URL target begins with http:// or https://") as caught:
        resolve(TargetOptions(spec))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "spec", ["http://", "https://:80", "http://localhost:port", "http://localhost:70000", "http://localhost:0", "http://[::1"]
)
def test_a_url_without_a_host_or_with_no_real_port_is_refused(spec):
    with pytest.raises(UsageError, match="there is no host, or no port"):
        resolve(TargetOptions(spec))


@pytest.mark.parametrize(
    "spec", ["http://localhost:6420", "https://[::1]:1/base", "cmd:./x --port {port}", "tests.harness.fake_target:make"]
)
def test_what_was_always_a_target_still_is(spec):
    assert resolve(TargetOptions(spec)).name


def test_misspelt_suites_and_tests_are_answered_by_the_command(conform, tmp_path):
    write_corpus(tmp_path / "corpus", alpha=PLAIN, beta=PLAIN)
    run = ("run", "--target", "tests.harness.fake_target:make", "--corpus", "corpus", "--jobs", "1")
    assert "no such suite: alhpa (did you mean alpha?); there are: alpha, beta" in conform(*run, "--suite", "alhpa", status=2)
    assert "alpha::test_oen (did you mean alpha::test_one" in conform(*run, "--only", "alpha::test_oen", status=2)
    assert "test_two (did you mean alpha::test_two or beta::test_two" in conform(*run, "--only", "test_two", status=2)
    variant = conform(*run, "--only", "alpha::test_one[jsn-memory]", status=2)
    assert "(did you mean alpha::test_one[json-memory]" in variant
