"""Draw the PNG icons from ``book/_static/logo.svg``, for browsers and phones that take no SVG.

CHROMIUM=/usr/bin/chromium .venv/bin/python tools/make_icons.py
"""

import os
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

STATIC = Path(__file__).parents[1] / "book" / "_static"
# name: pixels of a side, share of it left free all round, background
ICONS = {
    "favicon.png": (48, 0.0, "transparent"),
    "apple-touch-icon.png": (180, 0.14, "white"),  # phones cut round corners, on black
}


def main() -> None:
    """Write the icons into ``book/_static``."""
    logo = (STATIC / "logo.svg").read_text(encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM") or shutil.which("chromium"),
            args=["--no-sandbox"],
        )
        for name, (side, free, background) in ICONS.items():
            page = browser.new_page(viewport={"width": side, "height": side})
            style = (
                f"margin: 0; box-sizing: border-box; width: {side}px; height: {side}px; "
                f"padding: {side * free}px; background: {background}"
            )
            page.set_content(
                f"<style>svg {{ width: 100%; height: 100% }}</style>"
                f'<body style="{style}">{logo}</body>'
            )
            page.screenshot(path=STATIC / name, omit_background=background == "transparent")
        browser.close()


if __name__ == "__main__":
    main()
