"""The report page in a real browser, made from real runs."""

from __future__ import annotations

from collections import Counter

import pytest

from harness.events.verdict import Verdict
from tests.browser.conftest import ENCODINGS, SUITES

pytestmark = pytest.mark.timeout(300)

BROKEN = "actor-sleep::test_alarm_wakes_a_sleeping_actor"
BLOCKED = "actor-schedule::test_schedule_wakes_a_sleeping_actor"
OPEN_ALL = "for (const one of document.querySelectorAll('details')) one.open = true;"
OVERFLOWING = """
// Whatever sticks out of the window, unless a box around it scrolls or cuts.
const out = [];
for (const one of document.querySelectorAll("body *")) {
  if (one.closest("svg") && one.tagName !== "svg") continue;
  const box = one.getBoundingClientRect();
  if (box.width === 0 || box.right <= innerWidth + 0.5) continue;
  let held = false;
  for (let up = one.parentElement; up; up = up.parentElement) held ||= getComputedStyle(up).overflowX !== "visible";
  if (!held) out.push(one.outerHTML.slice(0, 200));
}
return [document.documentElement.scrollWidth - innerWidth, out];
"""

CONTRASTS = """
// The least contrast of text to its ground, by kind of element, as WCAG computes it.
const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
const part = (value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
const light = ([r, g, b]) => 0.2126 * part(r / 255) + 0.7152 * part(g / 255) + 0.0722 * part(b / 255);
const ground = (element) => {
  for (; element; element = element.parentElement) {
    const colour = parse(getComputedStyle(element).backgroundColor);
    if (colour.length === 3 || colour[3] > 0) return colour;
  }
};
const found = {};
for (const element of document.querySelectorAll("h1, h2, p, summary, td, th, a, button, .tag, .dim, pre, code, b")) {
  const [x, y] = [light(parse(getComputedStyle(element).color)), light(ground(element))].sort((a, b) => b - a);
  const name = `${element.tagName}.${element.className} ${element.closest(".card") ? "on card" : ""}`;
  found[name] = Math.min(found[name] ?? 99, (x + 0.05) / (y + 0.05));
}
return found;
"""


def shown(browser, what):
    """The ids of what of a kind can be seen or opened."""
    return browser.execute_script(
        "return [...document.querySelectorAll(arguments[0])].filter(e => !e.closest('[hidden]')).map(e => e.id)", what
    )


def named(browser, what, test):
    """The id of the box of a test."""
    script = "return [...document.querySelectorAll(arguments[0])].find(e => e.dataset.text.startsWith(arguments[1] + ' ')).id"
    return browser.execute_script(script, what, test)


def visible(browser, selector):
    return browser.execute_script("const e = document.querySelector(arguments[0]); return e !== null && e.checkVisibility()", selector)


def write(browser, text):
    box = browser.find_element("id", "filter")
    box.clear()
    box.send_keys(text)


def test_the_matrix_has_the_numbers_of_the_runs(browse, made):
    browser = browse(1400)
    rows = browser.execute_script("""
        const rows = document.querySelectorAll("#matrix tbody tr, #matrix tfoot tr");
        return [...rows].map((row) => [...row.children].map((cell) => cell.textContent.trim()));
    """)
    columns = [(run, encoding) for run in made.runs for encoding in ENCODINGS]

    def cell(suites, run, encoding):
        verdicts = Counter(one.verdict for one in run.results if one.id.suite in suites and one.id.variant.startswith(encoding))
        return f"{verdicts[Verdict.PASS]}/{verdicts.total()}"

    assert rows == [
        *([suite, *(cell([suite], *column) for column in columns)] for suite in SUITES),
        ["all suites", *(cell(SUITES, *column) for column in columns)],
    ]
    figures = browser.execute_script("return [...document.querySelectorAll('.run .figures')].map(f => f.textContent)")
    assert figures[0] == f"{len(made.runs[0].results)}tests{len(made.runs[0].results)}pass"
    verdicts = Counter(one.verdict for one in made.runs[1].results)
    assert figures[1] == f"{verdicts.total()}tests" + "".join(f"{verdicts[one]}{one}" for one in Verdict if verdicts[one])
    assert len(made.runs[1].bad) == 4


def test_root_causes_come_first_with_their_timeline(browse, made):
    browser = browse(1400)
    cards = shown(browser, "details.failure")
    assert cards == [named(browser, "details.failure", BROKEN), named(browser, "details.failure", BLOCKED)]
    assert browser.execute_script("return [...document.querySelectorAll('details.failure')].map(e => e.open)") == [True, False]
    first = browser.find_element("id", cards[0])
    assert "blocks 1" in first.text
    assert "TASK-203" in first.text
    assert "A schedule does not keep the actor awake, and wakes it when due." in first.text
    pictures = first.find_elements("css selector", "svg.timeline")
    assert len(pictures) == len(ENCODINGS)
    for row in ("harness", "calls", "alarms", "manager", "actor sleep"):
        assert any(text.text.startswith(row) for text in pictures[0].find_elements("css selector", "text.row")), row
    assert pictures[0].find_elements("css selector", "rect.asleep")
    assert not pictures[0].find_elements("css selector", ".woke")
    sizes = browser.execute_script("const b = arguments[0].getBoundingClientRect(); return [b.width, b.height]", pictures[0])
    assert min(sizes) > 100
    # The same test on the runtime that is whole: there the alarm woke the actor.
    number = cards[0].removeprefix("failure-")
    whole = browser.execute_script("return document.querySelectorAll(`#test-${arguments[0]} svg .woke`).length", number)
    assert whole == len(ENCODINGS)


def test_drilling_down(browse, made):
    browser = browse(1400)
    # From a cell of the matrix to its suite, in its column.
    browser.find_element("css selector", "#matrix a[aria-label^='actor-sleep, broken-alarms'][aria-label*='json']").click()
    assert visible(browser, "#suite-actor-sleep details.test")
    assert browser.find_element("id", "column").get_attribute("value") == "3"
    # To a test, its sentence and its requirement.
    test = named(browser, "details.test", BROKEN)
    browser.find_element("css selector", f"#{test} > summary").click()
    assert "A schedule does not keep the actor awake" in browser.find_element("id", test).text
    browser.find_element("css selector", f"#{test} a[href='#requirement-TASK-203']").click()
    assert browser.execute_async_script("setTimeout(arguments[0], 50)") is None
    assert visible(browser, "#requirement-TASK-203")
    # From the requirement to a test, and from there to the evidence of its failure.
    browser.find_element("css selector", "#requirement-TASK-203 summary").click()
    browser.find_element("css selector", f"#requirement-TASK-203 a[href='#{named(browser, 'details.test', BLOCKED)}']").click()
    browser.execute_async_script("setTimeout(arguments[0], 50)")
    card = named(browser, "details.failure", BLOCKED)
    browser.find_element("css selector", f"#{named(browser, 'details.test', BLOCKED)} a[href='#{card}']").click()
    browser.execute_async_script("setTimeout(arguments[0], 50)")
    body = browser.find_element("id", card)
    assert "Wire transcript" in body.text
    assert "conform run --target tests.browser.broken_target:make" in body.text
    assert f"blocked by {BROKEN}" in body.text
    transcript = body.find_element("xpath", ".//details[summary='Wire transcript']")
    transcript.find_element("css selector", "summary").click()
    assert "boundary.sleep of" in transcript.text


def test_the_filter(browse, made):
    browser = browse(1400)
    every = {(one.id.suite, one.id.name) for one in made.results}
    assert len(shown(browser, "details.test")) == len(every)
    assert browser.find_element("id", "shown").text == f"{len(every)} tests"
    # By text: words in any order, of name, sentence, requirement or message.
    write(browser, "sleeping ALARM")
    # The blocked test names the other in its message.
    assert set(shown(browser, "details.test")) == {named(browser, "details.test", test) for test in (BROKEN, BLOCKED)}
    write(browser, "sleeping ALARM sleep-011")
    assert shown(browser, "details.test") == [named(browser, "details.test", BROKEN)]
    assert visible(browser, f"#{named(browser, 'details.test', BROKEN)}")
    assert browser.find_element("id", "shown").text == f"1 of {len(every)} tests shown"
    write(browser, "task-203")
    expected = {str(one.id.test) for one in made.results if "TASK-203" in one.requirements}
    assert set(shown(browser, "details.test")) == {named(browser, "details.test", test) for test in expected}
    write(browser, "no such thing")
    assert shown(browser, "details.test") == []
    assert visible(browser, "#nothing")
    # By verdict.
    browser.find_element("id", "reset").click()
    assert len(shown(browser, "details.test")) == len(every)
    browser.find_element("css selector", "[data-verdict=pass]").click()
    assert set(shown(browser, "details.test")) == {named(browser, "details.test", test) for test in (BROKEN, BLOCKED)}
    # By column: in that of the whole runtime nothing failed.
    browser.find_element("css selector", "#column option[value='0']").click()
    assert shown(browser, "details.test") == shown(browser, "details.failure") == []


def test_the_keyboard_reaches_everything(browse):
    browser = browse(1400)
    body = browser.find_element("tag name", "body")
    body.send_keys("/")
    assert browser.switch_to.active_element.get_attribute("id") == "filter"
    reached = set()
    for _ in range(40):
        browser.switch_to.active_element.send_keys("\ue004")  # tab
        element = browser.switch_to.active_element
        reached.add(element.get_attribute("data-verdict") or element.get_attribute("data-column") or element.tag_name)
        if element.tag_name == "summary" and element.find_element("xpath", "..").get_attribute("class").startswith("suite"):
            element.send_keys("\ue007")  # enter
            break
    assert {"pass", "fail", "select", "0", "3", "summary"} <= reached
    assert visible(browser, "details.suite[open] details.test")


@pytest.mark.parametrize("width", [400, 800, 1400])
def test_nothing_is_wider_than_the_window(browse, width):
    browser = browse(width)
    assert browser.execute_script(OVERFLOWING) == [0, []]
    browser.execute_script(OPEN_ALL)
    assert browser.execute_script(OVERFLOWING) == [0, []]
    if width == 400:
        # Not by scrolling inside itself either: the matrix of two targets fits a telephone.
        assert (
            browser.execute_script(
                "const m = document.querySelector('#matrix'); return m.parentElement.scrollWidth - m.parentElement.clientWidth"
            )
            == 0
        )


@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out_from_its_ground(browse, dark):
    """The contrast of WCAG AA, in both colour schemes."""
    browser = browse(1400, dark=dark)
    browser.execute_script(OPEN_ALL)
    ratios = browser.execute_script(CONTRASTS)
    assert {name: ratio for name, ratio in ratios.items() if ratio < 4.5} == {}
    assert browser.execute_script("return getComputedStyle(document.body).backgroundColor") == (
        "rgb(16, 21, 28)" if dark else "rgb(244, 246, 249)"
    )
