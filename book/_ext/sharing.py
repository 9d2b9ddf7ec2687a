"""What lets the book be found and shared; what needs an address follows from _config.yml.

* Every page gets a description (``descriptions.yml``, else ``page_description``), the tags that
  other sites read when a link is sent, and a picture (``social_card``). ``index.html``, which leads
  to the first page, has them too.
* Once ``html.baseurl`` is set: canonical addresses, absolute ones of the pictures, ``sitemap.xml``.
* Once ``repository.url`` is set: buttons for the repository and an issue, on chapters for Binder
  and Colab too. Until then none of these exists.
* ``404.html``, for a server to show where there is no page.
"""

import posixpath
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape as escape_xml

import yaml
from docutils import nodes
from page_description import SHORTEST, describe
from social_card import HEIGHT, WIDTH, draw_card
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ConfigError

BOOK = Path(__file__).parents[1]
LISTED = Path(__file__).with_name("descriptions.yml")
TAGLINE = "Variational autoencoders, with every claim on trial"
TITLES = {"genindex": "Index", "search": "Search", "py-modindex": "Modules", "404": "No such page"}
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


# ---------------------------------------------------------------- the two addresses


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


def complete_buttons(context: dict[str, Any], repository: str) -> None:
    """Open an issue in the form for a wrong statement, its page filled in; say what Colab needs."""
    for group in context.get("header_buttons", ()):
        for button in group.get("buttons", [group]):
            if button.get("text") == "Colab":
                button["tooltip"] = "Open on Colab, where the two lines of the README run first"
            if button.get("label") == "source-issues-button" and "github.com" in repository:
                page = quote(context["pagename"], safe="")
                button["url"] = f"{repository}/issues/new?template=wrong-statement.yml&page={page}"


# ---------------------------------------------------------------- descriptions and cards


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
    complete_buttons(context, app.config.html_theme_options["repository_url"])


def tag(kind: str, name: str, value: str) -> str:
    """One ``meta`` tag."""
    return f'<meta {kind}="{name}" content="{escape(value)}" />'


# ---------------------------------------------------------------- pages without a source


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
    entries = "".join(f"  <url><loc>{escape_xml(address)}</loc></url>\n" for address in addresses)
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
    """Connect them."""
    app.connect("config-inited", follow_the_addresses)
    app.connect("doctree-read", note_description)
    app.connect("html-collect-pages", more_pages)
    app.connect("html-page-context", add_tags, priority=900)  # after the theme's buttons
    app.connect("build-finished", finish)
    return {
        "version": "1",
        "env_version": 1,
        "parallel_read_safe": True,
        "parallel_write_safe": True,
    }
