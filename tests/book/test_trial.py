"""The page that says how the trial works: every proposition, and an example that runs."""

import io
import re
from collections import Counter
from contextlib import redirect_stdout

import pytest
from playwright.sync_api import Page

from tests.book.test_cards import shares_told
from tests.conftest import PHONE, ROOT, Book
from tests.pages import PAGES, parse, visit
from vaebook.experiments import CLAIMS
from vaebook.experiments.propositions import PROPOSITIONS
from vaebook.experiments.propositions.protocol import load_protocol

NAME = "book/how-the-trial-works"
TEXT = (ROOT / f"{NAME}.md").read_text(encoding="utf-8")


def plain(text: str) -> str:
    """Text without the page's own spaces and apostrophes."""
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("’", "'")


def test_every_proposition_stands_below_its_claim(book: Book) -> None:
    page = parse(book.html / f"{NAME}.html")
    for claim in CLAIMS:
        section = page.find("section", id=f"trial-{claim.name.lower()}")
        told = plain(section.text)
        assert plain(claim.review or "Nothing was found") in told
        folds = [fold["id"] for fold in section.select("details.protocol")]
        of_claim = [each for each in PROPOSITIONS if re.match(rf"{claim.name}[a-z]?$", each.name)]
        assert folds == [f"proposition-{each.name.lower()}" for each in of_claim]
        for each in of_claim:
            for text in (each.text, each.reason, each.seen):
                assert plain(text) in told
    assert len(page.select("details.protocol")) == len(PROPOSITIONS)


def test_a_table_shows_the_stored_chances(book: Book) -> None:
    page = parse(book.html / f"{NAME}.html")
    stored = load_protocol()
    for each in PROPOSITIONS:
        rows = page.find(id=f"proposition-{each.name.lower()}").select("tbody tr")
        told = stored[stored["proposition"] == each.name].to_dict("records")
        assert len(rows) == len(told)
        for row, expected in zip(rows, told, strict=True):
            assert row.th.text == expected["world"]
            right = float(row.find("strong").text)
            assert right == round(100 * expected[expected["wanted"]], 1)
            assert row.find("small").text == f"≥\N{NO-BREAK SPACE}{100 * expected['at_least']:.0f}"
            shares = [float(re.match(r"[\d.]+", cell.text)[0]) for cell in row.select("td")]
            assert sum(shares) == pytest.approx(100)


def test_a_card_under_review_leads_to_its_claim(book: Book) -> None:
    found = set()
    for name in PAGES:
        for card in parse(book.html / f"{name}.html").select("div.verdict"):
            claim = card["id"].removeprefix("verdict-")
            for link in card.select(".verdict-review a"):
                path, _, anchor = link["href"].partition("#")
                target = (book.html / name).parent / path if path else book.html / f"{name}.html"
                assert target.resolve() == (book.html / f"{NAME}.html").resolve()
                assert anchor == f"trial-{claim}"
                assert link.text == "under review"
                found.add((name, claim))
    reviewed = {claim.name.lower() for claim in CLAIMS if claim.review}
    assert {claim for name, claim in found if name == PAGES[0]} == reviewed
    assert len({name for name, _ in found}) > 5


def test_the_numbers_against_the_rules_are_those_of_the_cards() -> None:
    equal, together = (f"{100 * share:.0f} %" for share in shares_told("C5"))
    alone = f"{100 * shares_told('C2')[0]:.0f} %"
    told = plain(TEXT)
    assert f"passes C5's rule in {equal} of cases, seven of them together in {together}" in told
    assert f"C2's, which asks for more, in {alone}." in told


def test_the_example_prints_what_the_page_says() -> None:
    code, told = re.search(r"```python\n(.*?)```\n\n```none\n(.*?)```", TEXT, re.DOTALL).groups()
    lines = code.splitlines()
    assert sum(bool(line) for line in lines) <= 15
    assert max(map(len, lines)) <= 76
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(code, {})
    for here, there in zip(printed.getvalue().splitlines(), told.splitlines(), strict=True):
        gain, _, counts = here.partition(" ")
        assert there.startswith(gain)
        here_counts, there_counts = (
            Counter({k: int(v) for k, v in re.findall(r"'([\w ]+)': (\d+)", text)})
            for text in (counts, there)
        )
        moved = (here_counts - there_counts) + (there_counts - here_counts)
        assert moved.total() <= 4, "two of 200 may turn with the last digit"


def test_it_reads_on_a_phone(book: Book, page: Page) -> None:
    """Opened, no table is cut there by more than its last column."""
    page.set_viewport_size(PHONE)
    visit(page, book, NAME)
    page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    cut = page.evaluate(
        """() => [...document.querySelectorAll(".protocol .table-scroll")]
            .map((box) => box.scrollWidth - box.clientWidth)"""
    )
    assert len(cut) == len(PROPOSITIONS)
    assert max(cut) <= 0
