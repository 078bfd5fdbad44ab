"""The page in a real browser: it runs without an error, offline, on a phone, in the dark."""

import json
import shutil

import pytest

from spa3d.report import write_report

pytestmark = pytest.mark.browser
INK = {"light": "rgb(27, 31, 36)", "dark": "rgb(231, 234, 238)"}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver")
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("needs Debian's chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in ("headless", "no-sandbox", "disable-gpu", "disable-background-networking", "window-size=1280,900"):
        options.add_argument(f"--{flag}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield chrome
    chrome.quit()


@pytest.fixture
def page(tmp_path, document, example, metrics, hostile_text, browser):
    """Opens the report at a width, in a color scheme, with or without scripts."""
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in metrics), encoding="utf-8")
    write_report(tmp_path, document(warnings=[hostile_text]), [example(hostile_text), example(points=1024)])

    def show(width=1280, scheme="light", scripts=True):
        command = browser.execute_cdp_cmd
        command("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        command("Emulation.setDeviceMetricsOverride", size)
        command("Emulation.setScriptExecutionDisabled", {"value": not scripts})
        for kind in ("browser", "performance"):
            browser.get_log(kind)  # what an earlier page said
        browser.get((tmp_path / "report.html").as_uri())
        return browser

    return show


def requested_urls(browser):
    """Addresses the page asked the network for."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    return [url for url in urls if not url.startswith(("file:", "data:"))]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390, 320])
def test_page_has_no_errors_requests_or_sideways_scrolling(page, width, scheme):
    shown = page(width, scheme)
    assert shown.get_log("browser") == []
    assert requested_urls(shown) == []
    wide = shown.execute_script("return document.documentElement.scrollWidth")
    assert wide <= width
    assert shown.execute_script("return getComputedStyle(document.body).color") == INK[scheme]


def test_page_turns_both_clouds_of_an_example(page):
    shown = page()
    look = "return [...document.querySelectorAll('canvas')].map(canvas => canvas.toDataURL())"
    before = shown.execute_script(look)
    assert len(before) == 4
    turn = """
        const done = arguments[arguments.length - 1], canvas = document.querySelector('canvas');
        canvas.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowLeft'}));
        requestAnimationFrame(() => requestAnimationFrame(done));
    """
    shown.execute_async_script(turn)
    after = shown.execute_script(look)
    assert [old != new for old, new in zip(before, after, strict=True)] == [True, True, False, False]


def test_chart_shows_the_value_under_the_pointer(page):
    shown = page()
    tooltip = shown.execute_script("""
        const svg = document.querySelector('figure.chart svg'), box = svg.getBoundingClientRect();
        svg.dispatchEvent(new PointerEvent('pointermove', {clientX: box.right - 1, clientY: box.top + 20}));
        return svg.parentElement.querySelector('output').textContent;
    """)
    assert tooltip == "step 10: loss 0.500"


def test_page_without_scripts_shows_pictures(page):
    shown = page(scripts=False)
    images = shown.find_elements("css selector", ".cloud img")
    assert len(images) == 4
    assert all(image.size["width"] > 100 for image in images)
    assert "Post-training with spa" in shown.find_element("css selector", "h1").text


def test_page_shows_hostile_text_unchanged(page, hostile_text):
    shown = page()
    assert hostile_text in shown.find_element("css selector", ".warnings").get_attribute("textContent")
    assert len(shown.find_elements("css selector", "script")) == 1
