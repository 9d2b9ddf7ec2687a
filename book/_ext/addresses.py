"""The two addresses of ``_config.yml``, and the buttons that follow from them.

* Once ``html.baseurl`` is set, pages have canonical addresses (``head_tags``), and there is a
  ``sitemap.xml`` (``generated_pages``).
* Once ``repository.url`` is set: buttons for the repository and an issue, on chapters for Binder
  and Colab too. Until then none of these exists.
"""

import re
from typing import Any
from urllib.parse import quote

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ConfigError


def follow_the_addresses(app: Sphinx, config: Config) -> None:
    """Check the two addresses, and set what depends on them."""
    base, options = config.html_baseurl or "", config.html_theme_options
    repository = (options.get("repository_url") or "").rstrip("/")
    for key, address in (("html.baseurl", base), ("repository.url", repository)):
        if address and not re.match(r"https?://[^/\s]+", address):
            raise ConfigError(f"_config.yml: {key} is {address!r}; expected https://… or nothing")
    config.html_baseurl = base.rstrip("/") + "/" if base else ""
    options["repository_url"] = repository
    options["use_repository_button"] = options["use_issues_button"] = bool(repository)
    launch = options.setdefault("launch_buttons", {})
    launch["binderhub_url"] = "https://mybinder.org" if repository else ""
    on_github = repository.startswith("https://github.com/")  # Colab opens no other
    launch["colab_url"] = "https://colab.research.google.com" if on_github else ""


def complete_buttons(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object
) -> None:
    """Open an issue in the form for a wrong statement, its page filled in; say what Colab needs."""
    repository = app.config.html_theme_options.get("repository_url", "")
    for group in context.get("header_buttons", ()):
        for button in group.get("buttons", [group]):
            if button.get("text") == "Colab":
                button["tooltip"] = "Open on Colab, where the two lines of the README run first"
            if button.get("label") == "source-issues-button" and "github.com" in repository:
                page = quote(pagename, safe="")
                button["url"] = f"{repository}/issues/new?template=wrong-statement.yml&page={page}"


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect it."""
    app.connect("config-inited", follow_the_addresses)
    app.connect("html-page-context", complete_buttons, priority=900)  # after the theme's buttons
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
