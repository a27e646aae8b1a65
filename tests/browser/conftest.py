"""A headless Chromium of the system, and a real report in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.events import stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.events.results import RunReport

ROOT = Path(__file__).parents[2]
CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
DRIVER = shutil.which("chromedriver")
SUITES = ("actor-schedule", "actor-sleep")
ENCODINGS = ("bare", "json")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--disable-component-update",
    "--no-first-run", "--hide-scrollbars", "--disable-dev-shm-usage",
)  # fmt: skip


@dataclass(frozen=True)
class Made:
    """A report page and the runs it was made from."""

    path: Path
    runs: list[RunReport] = field(default_factory=list)

    @property
    def results(self) -> list[Any]:
        return [result for run in self.runs for result in run.results]


@pytest.fixture(scope="session")
def webdriver() -> Any:
    """Selenium, where there is a browser for it; the others skip before anything is made."""
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("needs Chromium and its driver: apt-get install chromium chromium-driver")
    return pytest.importorskip("selenium.webdriver", reason="needs selenium: install the dependency group `browser`")


@pytest.fixture(scope="session")
def made(webdriver, tmp_path_factory) -> Made:
    """Two real runs on one page: the reference runtime, and the same with its alarms broken."""
    place = tmp_path_factory.mktemp("report")

    def conform(*arguments: str, status: int) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-m", "harness.cli", *arguments],
            cwd=place, env=environment, capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stdout + done.stderr

    for name, target, status in (("fine", "reference", 0), ("broken", "tests.browser.broken_target:make", 1)):
        selection = ("--suite", ",".join(SUITES), "--encoding", ",".join(ENCODINGS), "--jobs", "1")
        conform("run", "--target", target, *selection, "--events", f"{name}.ndjson", "--timelines", status=status)
    conform("report", "html", "fine.ndjson", "broken.ndjson", "-o", "report.html", "--spec", str(ROOT / "docs/spec"), status=0)
    return Made(place / "report.html", [stream.read(place / f"{name}.ndjson") for name in ("fine", "broken")])


@pytest.fixture
def browse(tmp_path, webdriver, made) -> Iterator[Callable[..., Any]]:
    """Open the report in a window of a width; at the end nothing was logged and nothing but the file was asked for."""
    opened = []

    def browse(width: int, *, dark: bool = False) -> Any:
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in (*FLAGS, f"--user-data-dir={tmp_path / f'profile{len(opened)}'}", f"--window-size={width},1000"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=DRIVER))
        opened.append(driver)
        # A window has a least width; what the page sees has not.
        metrics = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        # What the browser's own first page does is none of ours.
        driver.get("about:blank")
        for name in ("browser", "performance"):
            driver.get_log(name)
        driver.get(made.path.as_uri())
        return driver

    yield browse
    logged, asked = [], []
    for driver in opened:
        logged += driver.get_log("browser")
        events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
        asked += [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
        driver.quit()
    assert logged == []
    assert asked
    assert {url.partition("#")[0] for url in asked if not url.startswith("data:")} == {made.path.as_uri()}
