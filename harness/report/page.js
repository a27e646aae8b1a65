"use strict";
const byId = (id) => document.getElementById(id);
const search = byId("filter"), column = byId("column"), status = byId("shown"), buttons = [...document.querySelectorAll("[data-verdict]")];
const suites = [...document.querySelectorAll("details.suite")].map((box) => ({ box, tests: [...box.querySelectorAll("details.test")] }));
const failures = [...document.querySelectorAll("details.failure")];

function reveal(target) {
  for (let one = target; one; one = one.parentElement) if (one.tagName === "DETAILS") one.open = true;
  target.scrollIntoView();
}

function apply() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = new Set(buttons.filter((one) => one.getAttribute("aria-pressed") === "true").map((one) => one.dataset.verdict));
  const chosen = column.value;
  const narrowed = words.length > 0 || wanted.size < buttons.length || chosen !== "";
  const hit = (item) => {
    const verdicts = item.dataset.verdicts.split(" ");
    const some = chosen === "" ? verdicts : [verdicts[Number(chosen)]];
    return some.some((one) => wanted.has(one)) && words.every((word) => item.dataset.text.includes(word));
  };
  let shown = 0, all = 0;
  for (const { box, tests } of suites) {
    let here = 0;
    for (const test of tests) here += !(test.hidden = !hit(test));
    box.hidden = here === 0;
    if (words.length > 0 || wanted.size < buttons.length) box.open = here > 0;
    box.querySelector(".here").textContent = here === tests.length ? `${here} tests` : `${here} of ${tests.length} tests`;
    shown += here;
    all += tests.length;
  }
  for (const failure of failures) failure.hidden = !hit(failure);
  byId("nothing").hidden = shown > 0;
  status.textContent = narrowed ? `${shown} of ${all} tests shown` : `${all} tests`;
  byId("reset").hidden = !narrowed;
}

search.addEventListener("input", apply);
column.addEventListener("change", apply);
for (const one of buttons) {
  one.addEventListener("click", () => {
    one.setAttribute("aria-pressed", String(one.getAttribute("aria-pressed") !== "true"));
    apply();
  });
}
byId("reset").addEventListener("click", () => {
  search.value = column.value = "";
  for (const one of buttons) one.setAttribute("aria-pressed", "true");
  for (const { box } of suites) box.open = false;
  apply();
  search.focus();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) {
    event.preventDefault();
    search.focus();
  }
});
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='#']");
  if (!link) return;
  if (link.dataset.column !== undefined) {
    column.value = link.dataset.column;
    apply();
  }
  const target = byId(decodeURIComponent(link.hash.slice(1)));
  if (target) {
    if (target.closest("[hidden]")) byId("reset").click();
    // After the browser itself has gone there.
    setTimeout(() => reveal(target));
  }
});
if (location.hash && byId(decodeURIComponent(location.hash.slice(1)))) reveal(byId(decodeURIComponent(location.hash.slice(1))));
apply();
