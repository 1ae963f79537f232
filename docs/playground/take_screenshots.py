"""Take the pictures of the playground in this folder: `make screenshots`.

Starts `poeproto play` on `tide_bot.py`, and drives its page in Chromium with Playwright.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, sync_playwright

HERE = Path(__file__).parent
PROGRAM = Path(sys.executable).with_name("poeproto")
COMMAND = [PROGRAM, "play", f"{HERE / 'tide_bot.py'}:bot", "--name", "Tide", "--bind", "127.0.0.1:0"]
WIDE = 1280
NARROW = 390


def take(browser: Browser, colours: Literal["light", "dark"], width: int) -> None:
    """Ask the bot and take the picture, beside an event of the exchange if the page is wide."""
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            address = next(match[0] for line in process.stdout if (match := re.search(r"http\S+", line)))
            page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=colours)
            page.goto(address)
            page.get_by_text("running").first.wait_for()
            page.get_by_label("Message", exact=True).fill("When can I walk to the island?")
            page.keyboard.press("Enter")
            page.get_by_role("button", name="Show the curve").wait_for()
            if width == WIDE:
                page.get_by_role("button", name="Inspect", exact=True).last.click()
                page.get_by_role("listbox", name="Events").get_by_role("option").nth(4).click()
            page.screenshot(path=HERE / f"{'wide' if width == WIDE else 'narrow'}-{colours}.png", animations="disabled")
            page.close()
        finally:
            process.terminate()


def main() -> None:
    """Take all pictures, and reduce them to 256 colours if pngquant is installed."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        take(browser, "light", WIDE)
        take(browser, "dark", WIDE)
        take(browser, "light", NARROW)
        take(browser, "dark", NARROW)
        browser.close()
    if pngquant := shutil.which("pngquant"):
        pictures = sorted(HERE.glob("*.png"))
        subprocess.run([pngquant, "--force", "--ext", ".png", "--strip", "--skip-if-larger", *pictures], check=True)


if __name__ == "__main__":
    main()
