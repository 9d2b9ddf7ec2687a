"""What stands in the head of a page: a description, the tags that a shared link shows, a picture.

A description comes from ``descriptions.yml``, else from ``page_description``; the picture is drawn
by ``social_card``. Addresses are absolute where ``html.baseurl`` is set.
"""

import posixpath
from html import escape
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from page_description import SHORTEST, describe
from social_card import HEIGHT, WIDTH, draw_card
from sphinx.application import Sphinx

BOOK = Path(__file__).parents[1]
LISTED = Path(__file__).with_name("descriptions.yml")
TAGLINE = "Variational autoencoders, with every claim on trial"
TITLES = {"genindex": "Index", "search": "Search", "py-modindex": "Modules", "404": "No such page"}


def listed_descriptions() -> dict[str, str]:
    """The descriptions written by hand, by page."""
    descriptions: dict[str, str] = yaml.safe_load(LISTED.read_text(encoding="utf-8"))
    return descriptions


def note_description(app: Sphinx, document: nodes.document) -> None:
    """Keep a page's description with its metadata, where every builder finds it."""
    page = app.env.docname
    app.env.note_dependency(str(LISTED))
    own = any(meta.get("name") == "description" for meta in document.findall(nodes.meta))
    found = describe(document) if own else listed_descriptions().get(page) or describe(document)
    if len(found) < SHORTEST:  # a page of tables, say
        title = document.next_node(nodes.title)
        named = title.astext() if title is not None else page
        found = f"{named}: a page of {app.config.html_title}, the book on VAEs and their claims."
    app.env.metadata[page]["description"] = found


def describe_page(app: Sphinx, page: str) -> tuple[str, str]:
    """A page's title and description."""
    title = app.env.titles.get(page)
    name = title.astext() if title is not None else TITLES.get(page, app.config.html_title)
    return name, app.env.metadata.get(page, {}).get("description") or listed_descriptions().get(
        page, ""
    )


def add_tags(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object
) -> None:
    """Put description, tags, icons and card into the head of a page."""
    if app.builder.format != "html":
        return
    first = app.config.root_doc
    page = first if pagename == "index" else pagename
    base, pathto, book = app.config.html_baseurl, context["pathto"], app.config.html_title
    title, description = describe_page(app, page)
    if not description:
        return
    if pagename == "404":
        context["pageurl"] = None  # it stands for no address
    elif base:
        context["pageurl"] = posixpath.join(base, app.builder.get_target_uri(page))

    name = page.removeprefix("book/").replace("/", "-")
    card = f"{app.builder.imagedir}/cards/{name}.png"
    draw_card(
        Path(app.outdir) / card,
        title=title,
        description=description,
        book=TAGLINE if title == book else book,
        logo=BOOK / "_static" / "logo.svg",
    )
    tags = {
        "og:site_name": book,
        "og:type": "website" if page == first else "article",
        "og:title": title,
        "og:description": description,
        "og:url": context.get("pageurl") if base else None,
        "og:image": posixpath.join(base, card) if base else pathto(card, resource=True),
        "og:image:type": "image/png",
        "og:image:width": str(WIDTH),
        "og:image:height": str(HEIGHT),
        "og:image:alt": f"“{title}”, the book's name, and a bell curve over orange dots.",
    }
    named = {"twitter:card": "summary_large_image"}
    written = context.get("metatags") or ""
    if 'name="description"' not in written:
        named["description"] = description
    if pagename in {"404", "search"}:
        named["robots"] = "noindex"
    lines = [tag("name", name, value) for name, value in named.items()]
    lines += [tag("property", name, value) for name, value in tags.items() if value]
    vector, touch = pathto("_static/logo.svg", True), pathto("_static/apple-touch-icon.png", True)
    lines.append(f'<link rel="icon" type="image/svg+xml" sizes="any" href="{vector}" />')
    lines.append(f'<link rel="apple-touch-icon" sizes="180x180" href="{touch}" />')
    context["metatags"] = written + "\n    " + "\n    ".join(lines) + "\n"


def tag(kind: str, name: str, value: str) -> str:
    """One ``meta`` tag."""
    return f'<meta {kind}="{name}" content="{escape(value)}" />'


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect it."""
    app.connect("doctree-read", note_description)
    app.connect("html-page-context", add_tags, priority=900)  # after the theme's own
    return {
        "version": "1",
        "env_version": 1,
        "parallel_read_safe": True,
        "parallel_write_safe": True,
    }
