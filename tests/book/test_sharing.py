"""The book can be found and shared: descriptions, cards, addresses, buttons, 404, workflows."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from bs4 import BeautifulSoup
from docutils import nodes
from docutils.core import publish_doctree
from docutils.utils import new_document
from PIL import Image
from playwright.sync_api import Browser, Page, Route

from tests.builds import jupyter_book
from tests.conftest import ROOT, Book, run
from tests.pages import PAGES, TOC, elements, every_page, parse

sys.path.insert(0, str(ROOT / "book" / "_ext"))
from page_description import describe
from social_card import BELL, draw_card

BASE, REPOSITORY = "https://someone.example/why-normal", "https://github.com/someone/why-normal"
CHAPTER = "book/10-why-blurry"
ELSEWHERE = ("mybinder", "colab", "github.com")
BUTTONS = (
    "dropdown-launch-buttons",
    "dropdown-source-buttons",
    "source-repository",
    "source-issues",
)
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def tags(path: Path) -> dict[str, str]:
    """The named tags of a page's head; each may stand there once."""
    found: dict[str, str] = {}
    for tag in elements(path).xpath("/html/head//meta"):
        name = tag.get("property") or tag.get("name")
        if name and name.startswith(("og:", "twitter:", "description", "robots")):
            assert name not in found, f"{name} stands twice"
            found[name] = tag.attrib["content"]
    return found


def built(book: Book) -> list[Path]:
    """All built pages that readers can be sent to."""
    return sorted(path for path in book.html.rglob("*.html") if "_static" not in path.parts)


# ---------------------------------------------------------------- every page, without addresses


def test_every_page_is_described_in_plain_words_of_its_own(book: Book) -> None:
    described = {path: tags(path)["description"] for path in built(book)}
    for path, text in described.items():
        assert 50 <= len(text) <= 200, f"{path.name}: {len(text)} characters"
        assert not re.search(r"[$\\{}`]|\*\*|\]\(", text), f"{path.name}: {text}"
        assert text[0].isupper() or text[0] in "“\"'", text
        assert text[-1] in ".?!…”", text
        assert tags(path)["og:description"] == text
    times = Counter(text for path, text in described.items() if path.name != "index.html")
    assert [text for text, count in times.items() if count > 1] == []
    assert described[book.html / "index.html"] == described[book.html / f"{TOC['root']}.html"]


@every_page
def test_a_page_carries_what_other_sites_read(book: Book, page_name: str) -> None:
    path = book.html / f"{page_name}.html"
    found = tags(path)
    title = next(elements(path).find(".//article").iter("h1"))
    aside = {part for name in ("headerlink", "section-number") for part in title.find_class(name)}
    heading = "".join(
        text
        for text in title.xpath(".//text()")
        if aside.isdisjoint(text.getparent().iterancestors())
        and (text.is_tail or text.getparent() not in aside)
    )
    assert found["og:title"] == heading.strip()
    assert found["og:site_name"] == "Why Normal?"
    assert found["og:type"] == ("website" if page_name == TOC["root"] else "article")
    assert found["twitter:card"] == "summary_large_image"
    assert found["og:title"] in found["og:image:alt"]
    image = path.parent / found["og:image"]
    with Image.open(image) as card:
        assert card.size == (int(found["og:image:width"]), int(found["og:image:height"]))
        assert card.size == (1200, 630)
        words = card.info["Description"].split("\n")
        assert words[-2:] == [found["og:title"], found["og:description"]]
        assert image.stat().st_size < 100_000


def test_without_addresses_nothing_needs_one(book: Book) -> None:
    settings = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    if settings["html"]["baseurl"] or settings["repository"]["url"]:
        pytest.skip("the addresses are set")
    assert not (book.html / "sitemap.xml").exists()
    for path in built(book):
        page = elements(path)
        assert page.xpath("//link[contains(@rel, 'canonical')]") == []
        assert "og:url" not in tags(path)
        for part in BUTTONS:
            assert page.xpath(f"//*[contains(@class, '{part}')]") == []


def test_the_icons_are_drawn(book: Book) -> None:
    for path in (book.html / f"{TOC['root']}.html", book.html / "index.html"):
        icons = {
            tag["href"].rpartition("/")[2]: path.parent / tag["href"]
            for tag in parse(path).find_all("link", rel=["icon", "apple-touch-icon"])
        }
        assert set(icons) == {"favicon.png", "logo.svg", "apple-touch-icon.png"}
        for name, side in (("favicon.png", 48), ("apple-touch-icon.png", 180)):
            with Image.open(icons[name]) as icon:
                assert (icon.format, icon.size) == ("PNG", (side, side))
                blue = np.asarray(icon.convert("RGB")).reshape(-1, 3) == (0x2F, 0x7F, 0xC1)
                assert blue.all(axis=1).mean() > 0.02, "the logo's bell is missing"


# ---------------------------------------------------------------- the drawing and the words


@pytest.mark.parametrize(
    "title",
    ["Why blurry?", "Why is the prior of a variational autoencoder normal, and need it be? " * 2],
)
def test_a_card_keeps_its_words_within_its_margins(tmp_path: Path, title: str) -> None:
    target = tmp_path / "card.png"
    draw_card(
        target,
        title=title,
        description=("word " * 40).strip(),
        book="Why Normal?",
        logo=ROOT / "book" / "_static" / "logo.svg",
    )
    with Image.open(target) as card:
        pixels = np.asarray(card.convert("RGB")).astype(int)
    dark = pixels.max(axis=2) < 0x90  # words, not the bell
    assert dark[130:540, 72:600].any(), "no words"
    assert not dark[:, :60].any(), "words left of the margin"
    assert not dark[:, 1150:].any(), "words cut off at the right"
    assert not dark[548:600].any(), "words run into the codes"
    bell = np.array([int(BELL[place : place + 2], 16) for place in (1, 3, 5)])
    assert (abs(pixels[40:120, 60:140] - bell).max(axis=2) < 12).any(), "no logo"


def test_a_card_is_drawn_again_only_when_its_words_change(tmp_path: Path) -> None:
    target = tmp_path / "card.png"
    words = {"title": "One", "description": "Two.", "book": "Three"}
    logo = ROOT / "book" / "_static" / "logo.svg"
    draw_card(target, **words, logo=logo)
    first = target.stat().st_mtime_ns
    draw_card(target, **words, logo=logo)
    assert target.stat().st_mtime_ns == first
    draw_card(target, **words | {"title": "Four"}, logo=logo)
    assert target.stat().st_mtime_ns > first


def paragraph(*parts: object) -> nodes.paragraph:
    """A paragraph of texts and formulas."""
    made = nodes.paragraph()
    for part in parts:
        made += part if isinstance(part, nodes.Node) else nodes.Text(str(part))
    return made


def test_a_page_that_is_not_listed_is_described_by_its_own_words() -> None:
    document = new_document("page")
    document += paragraph("A code is drawn from ", nodes.math("", r"\mathcal N(0, I)"), ".")
    document += paragraph("It looks like this:")
    document += paragraph(
        "by a formula.\nNothing asks for ", nodes.math("", r"\frac{a}{b}^{c_d}"), "."
    )
    document += paragraph("The last sentence is long enough to be of use.")
    assert (
        describe(document)
        == "A code is drawn from N(0, I). The last sentence is long enough to be of use."
    )
    box = nodes.admonition("", nodes.title("", "In one minute"))
    box += paragraph("Is the box asked first? It is, because it answers the page's question.")
    document += box
    assert describe(document).startswith("Is the box asked first?")
    document += nodes.meta(name="description", content="Said by the page itself.")
    assert describe(document) == "Said by the page itself."


def test_a_long_sentence_is_cut_between_words() -> None:
    text = describe(publish_doctree("A " + "wordy " * 60 + "end."))
    assert len(text) <= 200
    assert text.endswith("wordy…")


# ---------------------------------------------------------------- the page that is not there


@pytest.mark.browser
def test_the_404_page_opens_styled_and_leads_on(book: Book, page: Page) -> None:
    page.goto((book.html / "404.html").as_uri())
    assert page.locator("article h1").inner_text() == "There is no page at this address"
    assert "serif" not in page.evaluate("getComputedStyle(document.body).fontFamily").split(",")[0]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    path = book.html / "404.html"
    links = [path.parent / tag["href"] for tag in parse(path).find("article").select("li a")]
    assert len(links) >= 5
    assert all(link.exists() for link in links)
    page.locator("article input[type=search]").fill("nats")
    page.locator("article button[type=submit]").click()
    page.wait_for_url("**/search.html?q=nats")


def test_the_404_page_is_in_no_contents(book: Book) -> None:
    page = parse(book.html / f"{TOC['root']}.html")
    assert not [tag for tag in page.find_all("a") if "404" in (tag.get("href") or "")]
    assert tags(book.html / "404.html")["robots"] == "noindex"


# ---------------------------------------------------------------- with the two addresses


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pages of the book, built with the two addresses filled in and nothing else changed."""
    folder = tmp_path_factory.mktemp("published")
    for name in ("_ext", "_static", "_templates"):
        shutil.copytree(ROOT / "book" / name, folder / "book" / name)
    for name in ("references.bib", "bibliography.md", f"{Path(CHAPTER).name}.ipynb"):
        shutil.copy(ROOT / "book" / name, folder / "book" / name)
    (folder / "book" / "intro.md").write_text("# Why Normal?\n\nAn intro.\n", encoding="utf-8")
    pages = [{"file": CHAPTER}, {"file": "book/bibliography"}]
    toc = {"format": "jb-book", "root": "book/intro", "chapters": pages}
    (folder / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
    config = (ROOT / "_config.yml").read_text(encoding="utf-8")
    config, bases = re.subn(r'(\n  baseurl: )"[^"]*"', rf'\1"{BASE}"', config)
    config, urls = re.subn(r'(\n  url: (?:&\w+ )?)"[^"]*"', rf'\1"{REPOSITORY}"', config)
    assert (bases, urls) == (1, 1), "each address stands in one place"
    (folder / "_config.yml").write_text(config, encoding="utf-8")
    code, out, err = jupyter_book("build", folder)
    assert code == 0, out + err
    return folder / "_build" / "html"


def test_addresses_are_canonical_and_absolute(published: Path) -> None:
    for page, target in ((CHAPTER, CHAPTER), ("index", "book/intro"), ("book/intro", "book/intro")):
        path = published / f"{page}.html"
        address = f"{BASE}/{target}.html"
        assert [tag["href"] for tag in parse(path).find_all("link", rel="canonical")] == [address]
        found = tags(path)
        assert found["og:url"] == address
        assert found["og:image"].startswith(f"{BASE}/_images/")
        assert (published / found["og:image"].removeprefix(f"{BASE}/")).is_file()
    assert parse(published / "404.html").find("link", rel="canonical") is None


def test_the_sitemap_lists_the_pages(published: Path) -> None:
    root = ElementTree.parse(published / "sitemap.xml").getroot()
    listed = [entry.text for entry in root.iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")]
    assert listed == [
        f"{BASE}/{name}.html" for name in (CHAPTER, "book/bibliography", "book/intro")
    ]


def test_a_chapter_has_four_buttons_and_another_page_two(published: Path) -> None:
    def leads(page: str) -> list[str]:
        header = parse(published / f"{page}.html").select_one(".article-header-buttons")
        links = [tag["href"] for tag in header.find_all("a")]
        return [link for link in links if any(name in link for name in ELSEWHERE)]

    assert leads(CHAPTER) == [
        f"https://mybinder.org/v2/gh/someone/why-normal/main?urlpath=lab/tree/{CHAPTER}.ipynb",
        f"https://colab.research.google.com/github/someone/why-normal/blob/main/{CHAPTER}.ipynb",
        REPOSITORY,
        f"{REPOSITORY}/issues/new?template=wrong-statement.yml&page=book%2F10-why-blurry",
    ]
    assert (ROOT / f"{CHAPTER}.ipynb").is_file()
    assert [link.split("?")[0] for link in leads("book/bibliography")] == [
        REPOSITORY,
        f"{REPOSITORY}/issues/new",
    ]


@pytest.mark.browser
def test_the_404_page_is_styled_at_any_depth(published: Path, browser: Browser) -> None:
    """Served as a host of static pages does: the 404 page under whatever address was asked for."""
    missing: list[str] = []

    def serve(route: Route) -> None:
        name = route.request.url.split("?")[0].removeprefix(f"{BASE}/")
        file = published / name
        if not file.is_file():
            missing.append(name)
            file = published / "404.html"
        route.fulfill(path=file)

    context = browser.new_context()
    context.route("**/*", serve)
    page = context.new_page()
    page.goto(f"{BASE}/some/where/deep/gone.html")
    assert missing == ["some/where/deep/gone.html"]
    assert page.locator("article h1").is_visible()
    page.get_by_role("link", name="the first page").click()
    page.wait_for_url(f"{BASE}/book/intro.html")
    assert missing == ["some/where/deep/gone.html"]
    context.close()


@pytest.mark.parametrize("address", ["someone.github.io/book", "ftp://someone.example"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    from addresses import follow_the_addresses
    from sphinx.config import Config
    from sphinx.errors import ConfigError

    settings = Config({}, {"html_baseurl": address})
    settings.add("html_baseurl", "", "html", ())
    settings.add("html_theme_options", {}, "html", ())
    with pytest.raises(ConfigError, match=r"html\.baseurl"):
        follow_the_addresses(None, settings)  # type: ignore[arg-type]


# ---------------------------------------------------------------- the repository


def lint(tool: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run one of the linters that ``make lint`` runs."""
    return run(Path(sys.executable).with_name(tool), *arguments, cwd=ROOT)


def test_the_workflows_test_and_publish() -> None:
    assert [path.name for path in WORKFLOWS] == ["book.yml", "package.yml"]
    book, package = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in WORKFLOWS)
    commands = "\n".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
    assert "bash .ci/run" in commands
    assert "make book" in commands
    for workflow in (book, package):
        assert workflow["permissions"] == {}
        assert workflow["jobs"]["publish"]["needs"] == "build"
    assert book["jobs"]["build"]["needs"] == "test"
    assert "refs/heads/main" in book["jobs"]["build"]["if"]
    assert package["jobs"]["publish"]["permissions"] == {"id-token": "write"}
    pins = re.findall(r"uses: ([\w./-]+)@(\w+)", commands)
    assert len(pins) >= 8
    assert [name for name, pin in pins if not re.fullmatch(r"[0-9a-f]{40}", pin)] == []
    one_pin_each = dict(pins)
    assert all(one_pin_each[name] == pin for name, pin in pins)


@pytest.mark.parametrize(
    ("schema", "names"),
    [
        ("vendor.github-workflows", ["workflows/book.yml", "workflows/package.yml"]),
        (
            "vendor.github-issue-forms",
            ["ISSUE_TEMPLATE/wrong-statement.yml", "ISSUE_TEMPLATE/broken-cell.yml"],
        ),
        ("vendor.github-issue-config", ["ISSUE_TEMPLATE/config.yml"]),
    ],
)
def test_workflows_and_forms_are_valid(schema: str, names: list[str], tmp_path: Path) -> None:
    files = [ROOT / ".github" / name for name in names]
    done = lint("check-jsonschema", "--builtin-schema", schema, *files)
    assert done.returncode == 0, done.stdout
    broken = tmp_path / "broken.yml"
    broken.write_text("jobs: 1\nbody: 1\nblank_issues_enabled: 1\n", encoding="utf-8")
    assert lint("check-jsonschema", "--builtin-schema", schema, broken).returncode == 1


def test_the_workflows_are_safe() -> None:
    done = lint("zizmor", "--offline", "--no-progress", "--quiet", ".github")
    assert done.returncode == 0, done.stdout


def test_make_lint_runs_the_same() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for schema in ("workflows", "issue-forms", "issue-config"):
        assert f"check-jsonschema --builtin-schema vendor.github-{schema}" in makefile
    assert "zizmor --offline" in makefile


def test_the_issue_button_fills_a_field_of_its_form() -> None:
    form = (ROOT / ".github" / "ISSUE_TEMPLATE" / "wrong-statement.yml").read_text(encoding="utf-8")
    assert "page" in [part.get("id") for part in yaml.safe_load(form)["body"]]


def pins(path: str) -> dict[str, str]:
    """The packages of a requirements file with their versions."""
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))


def test_binder_has_the_pins_of_the_package_and_the_package() -> None:
    from tests.vaebook.test_package import PROJECT

    needed = {re.split(r"[>=<]", entry)[0] for entry in PROJECT["project"]["dependencies"]}
    binder, pinned = pins(".binder/requirements.txt"), pins("requirements.txt")
    assert set(binder) == needed
    assert binder == {name: pinned[name] for name in needed}
    lines = (ROOT / ".binder" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert "." in lines, "the package itself"
    for line in lines:
        if line.startswith("-c "):
            assert (ROOT / ".binder" / line.removeprefix("-c ")).resolve().is_file()
    python = (ROOT / ".binder" / "runtime.txt").read_text(encoding="utf-8").strip()
    assert python == "python-3.11"


def test_every_description_belongs_to_a_page(book: Book) -> None:
    listed = yaml.safe_load((ROOT / "book/_ext/descriptions.yml").read_text(encoding="utf-8"))
    assert [name for name in listed if not (book.html / f"{name}.html").is_file()] == []
    assert TOC["root"] in set(listed) & set(PAGES)


def test_the_index_page_still_leads_on(book: Book) -> None:
    page = BeautifulSoup((book.html / "index.html").read_text(encoding="utf-8"), "html.parser")
    assert page.title.text.strip()
    assert (book.html / page.find("a")["href"]) == book.html / f"{TOC['root']}.html"
