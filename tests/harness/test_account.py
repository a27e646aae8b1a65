"""The account of a run: each collected test has one verdict, and whatever does not add up is a problem by name."""

from __future__ import annotations

from harness.run import account
from harness.run.lanes.lane import Lane, LaneOutcome
from tests.harness.sample import PLAIN, run, write_corpus


def _outcome(*events: dict, status: int = 0, lane: Lane | None = None, **more) -> LaneOutcome:
    return LaneOutcome(lane or Lane("all"), list(events), status=status, **more)


def _session(parallel: int, timing: int = 0) -> dict:
    return {"event": "session", "target": "x", "selected": {"parallel": parallel, "timing": timing}}


def _collected(name: str, location: str = "a.py") -> dict:
    return {"event": "collected", "id": name, "requirements": [], "doc": "", "timing": False, "location": location}


def _result(name: str, verdict: str = "pass", message: str = "") -> dict:
    return {"event": "result", "id": name, "verdict": verdict, "message": message}


def _end(collected: int = 1) -> dict:
    return {"event": "end", "collected": collected}


A, B = "s::a[json-memory]", "s::b[json-memory]"


def _close(*outcomes: LaneOutcome, **more):
    report = account.close(outcomes, **more)
    return [str(one.verdict) for one in report.results], report.problems, report.status


def test_what_adds_up_is_fine():
    whole = _outcome(_session(1), _collected(A), _result(A), _end())
    assert _close(whole) == (["pass"], [], 0)
    failing = _outcome(_session(1), _collected(A), _result(A, "fail"), _end(), status=1)
    assert _close(failing) == (["fail"], [], 1)


def test_a_failure_is_never_overwritten_by_a_pass_of_the_same_name():
    for results in ((_result(A, "fail"), _result(A)), (_result(A), _result(A, "fail"))):
        found = _outcome(_session(2), _collected(A, "a.py"), _collected(A, "b.py"), *results, _end(2), status=1)
        verdicts, problems, status = _close(found)
        assert (verdicts, status) == (["fail"], 2)
        assert f"{A} is there twice: a.py, b.py" in problems
        assert f"{A} has 2 results" in problems


def test_the_same_holds_between_workers():
    one = _outcome(_session(2), _collected(A, "a.py"), _result(A, "fail"), _end(), status=1)
    two = _outcome(_session(2), _collected(A, "b.py"), _result(A), _end())
    assert _close(one, two)[:1] == (["fail"],)
    assert f"{A} is there twice: a.py, b.py" in _close(one, two)[1]


def test_a_repeated_test_may_have_several_results_and_the_worst_counts():
    found = _outcome(_session(1), _collected(A), _collected(A), _result(A), _result(A, "fail"), _result(A), _end(2), status=1)
    assert _close(found, repeated=True) == (["fail"], [], 1)


def test_a_test_without_result_is_not_run_and_makes_the_account_incomplete():
    verdicts, problems, status = _close(_outcome(_session(2), _collected(A), _collected(B), _result(A), _end(2)))
    assert (verdicts, status) == (["pass", "not-run"], 2)
    assert problems == ["not everything was run: 1 of 2 tests were not run to their end"]


def test_a_result_that_nobody_announced_is_a_problem():
    assert _close(_outcome(_session(1), _collected(A), _result(A), _result(B), _end()))[1] == [f"{B} has a result, but was never collected"]


def test_a_status_that_the_results_do_not_explain_is_a_problem():
    quiet = _outcome(_session(1), _collected(A), _result(A), _end(), status=1)
    assert "ended with status 1, but every result is good" in _close(quiet)[1][0]
    loud = _outcome(_session(1), _collected(A), _result(A, "fail"), _end(), status=0)
    assert "ended with status 0, but some of its results are bad" in _close(loud)[1][0]
    told = _outcome(_session(1), _collected(A), _result(A), {"event": "problem", "text": "test_x.py has no suite"}, _end(), status=1)
    assert _close(told) == (["pass"], ["test_x.py has no suite"], 2)


def test_shares_that_do_not_add_up_are_a_problem():
    one = _outcome(_session(3), _collected(A), _result(A), _end(), lane=Lane("parallel 0", "parallel", (0, 2)))
    two = _outcome(_session(3), _collected(B), _result(B), _end(), lane=Lane("parallel 1", "parallel", (1, 2)))
    assert _close(one, two)[1] == ["3 tests are selected, but the workers were given 2"]
    two.events[0] = _session(2)
    assert _close(one, two)[1] == ["the workers do not agree on what is selected: 2, 3 tests"]


def test_a_lane_counts_the_tests_of_its_own_kind_only():
    timing = _outcome(_session(7, 1), _collected(A), _result(A), _end(), lane=Lane("timing", "timing"))
    assert _close(timing) == (["pass"], [], 0)


def test_events_that_were_lost_on_the_way_are_a_problem():
    assert _close(_outcome(_session(1), _collected(A), _result(A), _end(2)))[1] == ["worker all announced 2 tests, of which 1 arrived"]


def test_nothing_at_all_is_a_problem():
    assert _close(_outcome(_session(0), _end(0), status=5)) == ([], ["nothing was collected: no test matches the selection"], 2)


def test_an_interrupted_run_counts_what_was_never_announced():
    began = _outcome(_session(1, 4), _collected(A), _result(A), _end(), lane=Lane("parallel 0", "parallel"))
    never = _outcome(lane=Lane("timing", "timing"), interrupted=True)
    assert _close(began, never, reason="interrupted by SIGTERM")[1:] == (
        ["interrupted by SIGTERM: 4 of 5 tests were not run to their end"],
        2,
    )


def test_two_modules_with_one_suite_and_one_name_are_found_with_any_number_of_workers(tmp_path):
    corpus = write_corpus(tmp_path / "corpus", alpha=PLAIN, beta=PLAIN.replace('"""One."""', '"""One."""\n    assert 0'))
    beta = corpus / "test_beta.py"
    beta.write_text(beta.read_text().replace('suite("beta")', 'suite("alpha")'))
    for jobs in (1, 2):
        report = run(corpus, jobs=jobs)
        assert [str(one.verdict) for one in report.results] == ["fail", "pass"]
        assert any(problem.startswith("alpha::test_one[json-memory] is there twice") for problem in report.problems)
        assert report.status == 2


def test_every_test_that_is_asked_for_by_name_must_be_there(tmp_path):
    write_corpus(tmp_path / "corpus", alpha=PLAIN)
    report = run(tmp_path / "corpus", only=("alpha::test_one", "alpha::test_typo"))
    (problem,) = report.problems
    assert problem.startswith("no such test in this selection: alpha::test_typo (did you mean ")
    assert report.status == 2
