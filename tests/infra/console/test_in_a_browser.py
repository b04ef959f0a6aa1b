"""The console as people meet it, in headless Chromium: live, stopped and going on, usable by everyone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from infra.console import screenshot
from infra.console.state import State
from infra.migrations import apply
from tests.infra.clickhouse_process import Front, running_front
from tests.infra.console.running import HOSTILE, World, served, world_of
from tests.infra.console.worlds import a_result, moved
from tests.waiting import eventually

pytestmark = pytest.mark.clickhouse

AXE = Path(__file__).resolve().parent / "vendor" / "axe.min.js"
CHECKOUT = State("acme", "checkout-button").url
PLACES = {
    "/": "0.9 % to 5.3 % higher",
    CHECKOUT: "0.9 % to 5.3 % higher",
    f"{CHECKOUT}&as_of=2020-01-01T00:00:00Z": "Nothing is kept of this moment",
    "/tenants/acme": "Experiments of acme",
    "/tenants/acme/experiment?id=nosuch": "There is no experiment nosuch of acme.",
}
"""Each kind of page, and what is to be read on it."""
DESKTOP, PHONE = (1180, 1600), (390, 844)


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with running_front(tmp_path_factory.mktemp("clickhouse")) as found:
        apply(found.settings("livelift"))
        yield found


@pytest.fixture(scope="module")
def world(front: Front) -> World:
    found = world_of(front.settings("livelift"))
    found.fill()
    return found


@pytest.fixture(scope="module")
def address(front: Front, world: World) -> Iterator[str]:
    with served(partial(front.settings, "livelift")) as found:
        yield found


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    options = ChromeOptions()
    program, driver = screenshot.browser(), shutil.which("chromedriver")
    assert program, "no Chromium: infra/prerequisites.sh browser"
    assert driver, "no chromedriver: infra/prerequisites.sh browser"
    options.binary_location = program
    for argument in (
        "--headless=new",
        "--disable-gpu",
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):
        options.add_argument(argument)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})  # type: ignore[no-untyped-call]
    found = Chrome(options=options, service=Service(driver))
    try:
        yield found
    finally:
        found.quit()


def opened(browser: Chrome, url: str, size: tuple[int, int] = DESKTOP, *, dark: bool = False) -> Chrome:
    """The browser at an address, its log read out so that what comes is this page's."""
    shade = {"features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", shade)
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE},
    )
    browser.get(url)
    browser.get_log("browser")
    return browser


def said(browser: Chrome) -> str:
    """What is to be read now; the page may change while it is read, and between two pages there is none."""
    try:
        return browser.find_element(By.TAG_NAME, "body").text.replace("\u00a0", " ")
    except WebDriverException:  # of more kinds than one: no element, a stale one, one of no document
        return ""


def reads(browser: Chrome, words: str) -> None:
    """Waits until these words are on the page."""
    eventually(lambda: words in said(browser), f"{words!r} is on the page")


def barriers(browser: Chrome) -> list[str]:
    """What keeps somebody from using the page, by the rules of WCAG 2.2 AA that axe knows."""
    browser.execute_script(AXE.read_text(encoding="utf-8"))
    found: dict[str, Any] = browser.execute_async_script(
        """const done = arguments[arguments.length - 1];
        axe.run({ resultTypes: ["violations"] }).then(done);"""
    )
    return [
        f"{each['id']}: {each['help']}: {node['html'][:200]} {node.get('failureSummary', '')}"
        for each in found["violations"]
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nobody_is_kept_from_reading_it(
    browser: Chrome, address: str, size: tuple[int, int], dark: bool
) -> None:
    for place, words in PLACES.items():
        opened(browser, address + place, size, dark=dark)
        reads(browser, words)
        assert barriers(browser) == []
        width, window = browser.execute_script(
            "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert width <= window, f"{place} is cut off on the right"


def test_the_checker_of_barriers_finds_one(browser: Chrome, address: str) -> None:
    opened(browser, address)
    browser.execute_script("document.querySelector('main').append(document.createElement('input'))")
    assert any(found.startswith("label:") for found in barriers(browser))


def test_intervals_are_drawn_around_zero_and_the_chart_of_the_story_too(
    browser: Chrome, address: str
) -> None:
    opened(browser, address + CHECKOUT)
    forest = browser.find_element(By.CSS_SELECTOR, ".metrics .forest")
    label = (forest.get_attribute("aria-label") or "").replace("\u00a0", " ")
    assert "always-valid interval +0.9 % … +5.3 %" in label
    assert "interval for one look +1.6 % … +4.6 %" in label
    eventually(lambda: browser.find_elements(By.CSS_SELECTOR, "#chart canvas"), "the chart is drawn")
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_on_a_phone_each_metric_is_a_card_with_its_reading_before_its_numbers(
    browser: Chrome, address: str
) -> None:
    opened(browser, address + CHECKOUT, PHONE)
    card = browser.find_element(By.CSS_SELECTOR, ".metrics tbody tr")
    places = [
        card.find_element(By.CSS_SELECTOR, part).location["y"]
        for part in ("th", ".reading", ".fcell", ".num")
    ]
    assert places == sorted(places)
    assert card.size["width"] <= PHONE[0]


def test_numbers_change_under_the_readers_eyes_and_what_he_opened_stays_open(
    browser: Chrome, address: str, world: World
) -> None:
    opened(browser, address + State("acme", "moving").url)
    reads(browser, "Waiting for the first users")
    world.add("result_rows", moved(0.02, 0.004, experiment_id="moving"))
    reads(browser, "1.4 % to 2.6 % higher")
    browser.find_element(By.CSS_SELECTOR, "#moments summary").click()
    world.add("result_rows", moved(0.03, 0.004, experiment_id="moving"))
    reads(browser, "2.4 % to 3.6 % higher")
    assert browser.find_element(By.ID, "moments").get_attribute("open") is not None


def test_an_answer_can_be_reached_and_a_metric_chosen_by_keyboard(browser: Chrome, address: str) -> None:
    opened(browser, address + CHECKOUT)
    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert browser.switch_to.active_element.text == "To the answer"
    browser.find_element(By.LINK_TEXT, "converted").send_keys(Keys.ENTER)
    reads(browser, "converted over time")
    assert "metric=converted" in browser.current_url


def test_the_past_is_one_control_away_and_its_address_holds_it(
    browser: Chrome, address: str, world: World
) -> None:
    opened(browser, address + CHECKOUT)
    browser.execute_script("document.getElementById('moment').value = '2020-01-01T00:00:00'")
    browser.find_element(By.CSS_SELECTOR, "#as-of button").click()
    reads(browser, "Nothing is kept of this moment")
    assert "as_of=2020-01-01" in browser.current_url
    browser.find_element(By.LINK_TEXT, "back to now").click()
    reads(browser, "0.9 % to 5.3 % higher")


def test_an_id_that_would_be_a_script_is_only_read(browser: Chrome, address: str, world: World) -> None:
    world.add("result_rows", a_result(experiment_id=HOSTILE, metric_id=HOSTILE, treatment_variant=HOSTILE))
    opened(browser, f"{address}/tenants/acme")
    browser.find_element(By.LINK_TEXT, HOSTILE).click()
    reads(browser, f"{HOSTILE} over time")
    assert browser.find_elements(By.CSS_SELECTOR, "img") == []
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_a_stop_is_shown_while_one_looks_and_survives_clickhouse_going_away_and_coming_back(
    browser: Chrome, address: str, world: World, front: Front
) -> None:
    opened(browser, address + CHECKOUT)
    reads(browser, "revenue is higher with treatment")
    world.stop()
    reads(browser, "Stop treatment: it harms latency_ms")
    reads(browser, "Inputs and replay")
    front.kill()
    reads(browser, "ClickHouse does not answer: these are the numbers of")
    assert "Stop treatment: it harms latency_ms" in said(browser)
    assert barriers(browser) == []
    front.start()
    eventually(lambda: "Stopped." not in said(browser), "the page goes on by itself")
    assert "Stop treatment: it harms latency_ms" in said(browser)


def test_a_console_that_went_away_is_told_by_the_page_itself(
    browser: Chrome, front: Front, world: World
) -> None:
    with served(partial(front.settings, "livelift")) as address:
        opened(browser, address + CHECKOUT)
        reads(browser, "Users")
    reads(browser, "The console does not answer: these numbers have stopped.")


def test_a_picture_of_a_page_is_stored(address: str, tmp_path: Path) -> None:
    file = tmp_path / "console.png"
    screenshot.take(address + CHECKOUT, file, width=600, height=600)
    assert file.read_bytes().startswith(b"\x89PNG")
    assert file.stat().st_size > 10_000


def test_without_a_browser_a_plain_sentence_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screenshot, "BROWSERS", ("no-such-browser",))
    with pytest.raises(screenshot.NoPictureError, match="no Chromium is installed"):
        screenshot.take("http://127.0.0.1:1/", tmp_path / "none.png")
