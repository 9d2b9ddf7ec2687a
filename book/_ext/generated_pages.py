"""Pages that no source stands behind: ``index.html``, ``404.html`` and ``sitemap.xml``.

``index.html`` leads to the first page; a server shows ``404.html`` where there is no page; the
sitemap exists where ``html.baseurl`` is set.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from head_tags import TITLES, describe_page
from sphinx.application import Sphinx

WANTED = {  # what most people look for, on the page that says that there is no page
    "book/why-is-the-vae-prior-normal": "Why is the prior normal?",
    "book/09-why-normal": "Must the codes of a VAE be normal?",
    "book/10-why-blurry": "Why are the pictures of a VAE blurry?",
    "book/04-gaussian-kl": "Where does the formula of the KL term come from?",
    "book/07-scaling": "Sum or mean, MSE or BCE, which β?",
    "book/14-verdicts": "The eight claims and their verdicts",
    "book/questions": "Questions that readers ask",
}
LINK = re.compile(r'\b(href|src|action)="(?!#|/|[a-z]+:)([^"]*)"')


def more_pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """``index.html``, which leads to the first page, and ``404.html``."""
    title, _ = describe_page(app, app.config.root_doc)
    yield "index", {"title": title, "first": app.config.root_doc}, "index.html"
    wanted = {page: name for page, name in WANTED.items() if page in app.env.titles}
    yield "404", {"title": TITLES["404"], "wanted": wanted}, "404.html"


def finish(app: Sphinx, exception: Exception | None) -> None:
    """Write the sitemap, and give ``404.html`` links that hold at any depth of the site."""
    if exception is not None or app.builder.format != "html":
        return
    base, sitemap = app.config.html_baseurl, Path(app.outdir) / "sitemap.xml"
    if not base:  # opened from disk, its links are relative like those of any page
        sitemap.unlink(missing_ok=True)
        return
    addresses = (base + app.builder.get_target_uri(page) for page in sorted(app.env.all_docs))
    entries = "".join(f"  <url><loc>{escape(address)}</loc></url>\n" for address in addresses)
    sitemap.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{entries}</urlset>\n',
        encoding="utf-8",
    )
    root = "/" + base.split("/", 3)[3]
    missing = Path(app.outdir) / "404.html"
    html = LINK.sub(rf'\1="{root}\2"', missing.read_text(encoding="utf-8"))
    html = html.replace('data-content_root="./"', f'data-content_root="{root}"')
    missing.write_text(html, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect it."""
    app.connect("html-collect-pages", more_pages)
    app.connect("build-finished", finish)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
