"""The app in a real browser: one server with a store of its own for the whole run of the tests."""

import os

import pytest

from tests.browser.server import CHROMIUM, Server


@pytest.fixture(scope="session")
def browser():
    """Debian's chromium; missing, the tests are skipped, or fail where KD_REQUIRE_BROWSER is set."""
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        if os.environ.get("KD_REQUIRE_BROWSER"):
            pytest.fail("chromium is required here (KD_REQUIRE_BROWSER) and is not installed")
        pytest.skip("no browser: chromium is not installed")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=[
            "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"])
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory, browser):
    """A running app; its worker ends with the tests."""
    running = Server(tmp_path_factory.mktemp("store"))
    running.start()
    yield running
    running.end()


@pytest.fixture
def page(browser, server):
    """A fresh page, as wide as a laptop, on the app."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=server.url)
    yield context.new_page()
    context.close()
