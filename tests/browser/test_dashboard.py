"""examples/dashboard in real browsers, headless: Debian's Chromium and Firefox, which `nox -s browser` installs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from browsers import BROWSERS, Page, open_page
from example import run_example

#: A folder, for a picture of each browser.
SCREENSHOTS = os.environ.get("WIRELARK_SCREENSHOTS")


@pytest.fixture(params=BROWSERS)
def browser(request: pytest.FixtureRequest) -> type[Page]:
    found = BROWSERS[request.param]
    if shutil.which(found.PROGRAM) is None and not os.environ.get("WIRELARK_BROWSER"):
        pytest.skip(f"there is no {found.PROGRAM}")
    return found


async def test_a_viewer_sees_the_book(browser: type[Page]) -> None:
    async with run_example("dashboard/serve_book.py", "--port", 0, "--rate", 50) as example:
        port = await example.port()
        async with open_page(browser, f"http://127.0.0.1:{port}/") as page:
            await page.until("document.getElementById('status').textContent == 'connected'")
            await page.until("Number(document.getElementById('number').textContent) > 20")
            await page.until("document.getElementById('roundtrip').textContent.endsWith(' ms')")
            await page.until("Number(document.getElementById('seen').textContent) > 5")
            assert await page.evaluate("document.getElementById('viewers').textContent") == "1"
            # Something is drawn: bids are green and asks are red.
            pixels = "document.getElementById('book').getContext('2d').getImageData(282, {}, 1, 1).data"
            assert await page.evaluate(f"[...{pixels.format(10)}][0] > [...{pixels.format(10)}][1]")
            assert await page.evaluate(f"[...{pixels.format(870)}][1] > [...{pixels.format(870)}][0]")
            # The slider reaches the server, and its answer comes back with the next state.
            await page.evaluate("const rate = document.getElementById('rate'); rate.value = 2; rate.oninput()")
            await page.until("document.getElementById('asked').textContent == '100'")
            picture = await page.screenshot()
            assert picture.startswith(b"\x89PNG")
            if SCREENSHOTS:
                Path(SCREENSHOTS, f"dashboard-{browser.PROGRAM}.png").write_bytes(picture)
        assert await example.interrupt() == []


async def test_a_page_comes_back(browser: type[Page]) -> None:
    async with run_example("dashboard/serve_book.py", "--port", 0) as example:
        port = await example.port()
        async with open_page(browser, f"http://127.0.0.1:{port}/") as page:
            await page.until("document.getElementById('status').textContent == 'connected'")
            await example.interrupt()
            await page.until("document.getElementById('status').textContent.startsWith('connecting again in ')")
            async with run_example("dashboard/serve_book.py", "--port", port) as again:
                assert await again.port() == port
                await page.until("document.getElementById('status').textContent == 'connected'")
                await again.interrupt()
