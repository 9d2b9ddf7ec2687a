"""Numbers of the prose that are held against their records when the book is built."""

import hashlib
import json
import re
import sys
from collections import defaultdict
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from playwright.sync_api import Page

from tests.builds import sphinx
from tests.conftest import ROOT, Book
from tests.pages import parse, visit
from vaebook.experiments import load_provenance

sys.path.insert(0, str(ROOT / "book" / "_ext"))
from recorded_number import FORM, expected_text, measured, shows

sys.path.pop(0)

SEEDS = range(5)
EXTENSIONS = ROOT / "book" / "_ext"
RESULTS = ROOT / "book" / "results"
LEAST = {  # links to records
    "intro.md": 1,
    "why-is-the-vae-prior-normal.md": 13,
    "12-vae-versus-gan.ipynb": 69,
    "14-verdicts.ipynb": 21,
}
PAGE = "how-each-number-is-made"


def write_record(folder: Path, name: str, rows: list[dict]) -> None:
    """A record with its provenance."""
    pd.DataFrame(rows).to_csv(folder / f"{name}.csv", index=False)
    checksum = hashlib.sha256((folder / f"{name}.csv").read_bytes()).hexdigest()
    provenance = {"command": f"record {name}", "sha256": {f"{name}.csv": checksum}}
    (folder / f"{name}.json").write_text(json.dumps(provenance))


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """Two records whose means and intervals are known."""
    conditions = (("VAE", 1, 0.60, 10.0), ("GAN", 2, 0.50, 20.0), ("β = 1", 4, 0.1, 0.0))
    rows = [
        {"seed": seed, "model": model, "scale": float(scale), "share": share + 0.01 * seed,
         "nll": nll + seed, "copies": nll * (1 + seed)}
        for seed in SEEDS
        for model, scale, share, nll in conditions
    ]  # fmt: skip
    write_record(tmp_path, "trial", rows)
    later = [{"seed": seed, "model": "WAE", "share": 0.9, "nll": 3.0} for seed in SEEDS]
    write_record(tmp_path, "later", later)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "title", "told"),
    [
        ("62 ± 2 %", "share | model=VAE", "62 ± 2"),  # 2.776 · 0.01581 / √5 = 0.0196
        ("12.0", "nll | model=VAE", "12.0"),
        ("+10 nats", "nll | model=GAN | minus model=VAE", "+10"),  # seed by seed: no spread
        ("−10 points", "share | model=GAN | minus model=VAE", "−10"),
        ("10 points fewer", "share | model=GAN | minus model=VAE", "10"),
        ("12 %", "share | model=β = 1", "12"),  # a value with an equals sign
        ("12 %", "share | scale=4", "12"),  # 4.0 in the record
        ("0.64", "largest share", "0.64"),
        ("0.1", "smallest share", "0.1"),
        ("20", "largest share, nll | model=GAN | scale=2", "24"),
        ("2.0", "copies | model=GAN | over model=VAE", "2.0"),
        ("100 %", "copies | model=GAN | more than model=VAE", "100"),
        ("50 % less", "copies | model=VAE | more than model=GAN", "50"),
        ("9 nats", "nll | with later | model=VAE | minus model=WAE", "9"),
        ("−10", "nll | model=VAE | scale=1 | minus model=GAN | minus scale=2", "−10"),
    ],
)
def test_a_title_names_a_number_of_a_record(
    text: str, title: str, told: str, records: Path
) -> None:
    assert expected_text(text, "trial", title, records) == told


def test_a_ratio_is_a_geometric_mean_with_the_interval_of_its_logarithm(tmp_path: Path) -> None:
    rows = [
        {"seed": seed, "model": model, "distance": distance}
        for seed, ratio in enumerate((1.0, 2.0, 4.0))
        for model, distance in (("GAN", 3 * ratio), ("VAE", 3.0))
    ]
    write_record(tmp_path, "trial", rows)
    mean, low, high = measured("trial", "distance | model=GAN | over model=VAE", tmp_path)
    assert mean == pytest.approx(2.0)  # arithmetic: 2.33
    assert high / mean == pytest.approx(mean / low)
    assert high == pytest.approx(2 * 2 ** (4.3027 / 3**0.5), rel=1e-4)


@pytest.mark.parametrize(
    ("text", "told"),
    [("62 ± 2 %", "62 ± 3"), ("10 %", "0"), ("3.14", "3.1"), ("−3", "3"), ("162", "62")],
)
def test_digits_of_another_number_are_not_the_number(text: str, told: str) -> None:
    assert not shows(text, told)


@pytest.mark.parametrize(
    ("record", "title", "message"),
    [
        ("nothing", "share", "nothing.csv is not recorded"),
        ("trial", "share | with nothing | model=VAE", "nothing.csv is not recorded"),
        ("trial", "shares | model=VAE", "no column 'shares'; expected one of seed, model"),
        ("trial", "largest shares", "no column 'shares'"),
        ("trial", "share | model=WAE", "no row has model = 'WAE'; expected one of VAE, GAN"),
        ("trial", "share | modell=VAE", "no column 'modell'"),
        ("trial", "share", "15 rows of 5 seeds; expected one each.*model"),
        ("trial", "copies | with later | model=WAE", r"'copies' is missing in seed \[0, 1"),
        ("trial", "nll | model=VAE | minus model=GAN | over model=GAN", "cannot compare"),
    ],
)
def test_what_a_title_does_not_name_is_said(
    record: str, title: str, message: str, records: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        measured(record, title, records)


# ---------------------------------------------------------------- the book's own numbers


def numbers_of(path: Path) -> list[re.Match[str]]:
    """The links to records of a page or chapter."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = nbformat.reads(text, as_version=4).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    found = list(FORM.finditer(text))
    assert len(found) == len(re.findall(r"\]\([^)\s]*results/\w+\.csv", text)), "one has no title"
    return found


def other_digits(text: str) -> list[str]:
    """The text with one digit changed, for each of its digits."""
    ordinary, raised = "0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"
    return [
        text[:place] + digits[(digits.index(digit) + 1) % 10] + text[place + 1 :]
        for place, digit in enumerate(text)
        for digits in (ordinary, raised)
        if digit in digits and (digits == raised or not re.match(r"10[⁻⁰¹]", text))
    ]


@pytest.mark.parametrize("name", LEAST)
def test_every_number_held_against_a_record_is_right_and_no_other_would_be(name: str) -> None:
    numbers = numbers_of(ROOT / "book" / name)
    assert len(numbers) >= LEAST[name]
    for number in numbers:
        text, record, title = number["text"], number["record"], number["title"]
        told = expected_text(text, record, title, RESULTS)
        assert shows(text, told), f"{number[0]}: the record says {told}"
        for wrong in other_digits(text):
            assert not shows(wrong, told), wrong


def test_no_number_is_held_in_the_form_that_is_gone() -> None:
    book = ROOT / "book"
    for path in (*ROOT.glob("*.md"), *book.glob("*.md"), *book.glob("*.ipynb")):
        assert "{recorded}`" not in path.read_text(encoding="utf-8"), path.name


# ---------------------------------------------------------------- a wrong number stops the build

RIGHT = '[64 ± 6 %](results/latent_flow.csv "validity | encoder=β = 1e-6 | prior=flow matching")'
WRONG = {
    "digit": (("64 ± 6", "65 ± 6"), "the record says 64 ± 6"),
    "interval": (("± 6", "± 5"), "the record says 64 ± 6"),
    "rounding": (("64 ± 6", "64.0 ± 6.0"), "the record says 64.2 ± 5.5"),
    "column": (("validity", "coverage"), "the record says 78 ± 4"),
    "no-such-column": (("validity", "dogs"), "no column 'dogs'"),
    "row": (("flow matching", "mixture"), "the record says 60 ± 4"),
    "no-such-row": (("flow matching", "flow"), "no row has prior = 'flow'"),
    "record": (("latent_flow", "latent_flows"), "latent_flows.csv is not recorded"),
    "place": (("(results", "(../results"), "is not in"),
    "no-title": ((' "validity | encoder=β = 1e-6 | prior=flow matching"', ""), "expected [TEXT]"),
}
CELLS = {"12-vae-versus-gan": "dogs-after", "14-verdicts": "units-text"}  # without references
CONFIG = f"""
import sys
sys.path.insert(0, {str(EXTENSIONS)!r})
extensions = ["myst_nb", "recorded"]
myst_enable_extensions = ["dollarmath"]
nb_execution_mode = "off"
"""


def only_cell(chapter: str) -> nbformat.NotebookNode:
    """A chapter cut down to one cell, under a heading."""
    notebook = nbformat.read(ROOT / "book" / f"{chapter}.ipynb", as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell.id == CELLS[chapter]]
    notebook.cells[0].source = f"# A chapter\n\n{notebook.cells[0].source}"
    return notebook


def built(folder: Path, pages: dict[str, str]) -> tuple[int, dict[str, str]]:
    """Build a book of these pages and of the records as they are; the warnings by page."""
    (folder / "book").mkdir()
    (folder / "book" / "results").symlink_to(RESULTS)
    (folder / "conf.py").write_text(CONFIG, encoding="utf-8")
    listed = "\n".join(f"book/{Path(name).stem}" for name in pages)
    (folder / "index.md").write_text(f"# A book\n\n```{{toctree}}\n{listed}\n```\n")
    for name, text in pages.items():
        (folder / "book" / name).write_text(text, encoding="utf-8")
    code, _, err = sphinx("-W", "--keep-going", "-q", folder, folder / "out")
    warnings: dict[str, str] = defaultdict(str)
    for line in err.splitlines():
        if found := re.search(r"/book/([\w-]+)\.(?:md|ipynb)", line):
            warnings[found[1]] += line
    return code, warnings


def test_right_numbers_build(tmp_path: Path) -> None:
    pages = {f"{chapter}.ipynb": nbformat.writes(only_cell(chapter)) for chapter in CELLS}
    code, warnings = built(tmp_path, {"right.md": f"# Right\n\n{RIGHT} dogs.\n"} | pages)
    assert code == 0, warnings
    assert not warnings


def test_a_wrong_number_stops_the_build_and_says_what_is_right(tmp_path: Path) -> None:
    pages = {}
    for name, (change, _) in WRONG.items():
        assert change[0] in RIGHT
        pages[f"{name}.md"] = f"# Wrong\n\n{RIGHT.replace(*change)} dogs.\n"
    told = {name: message for name, (_, message) in WRONG.items()}
    for chapter in CELLS:
        notebook = only_cell(chapter)
        number = next(FORM.finditer(notebook.cells[0].source))
        wrong = number[0].replace(number["text"], other_digits(number["text"])[-1], 1)
        notebook.cells[0].source = notebook.cells[0].source.replace(number[0], wrong)
        pages[f"{chapter}.ipynb"] = nbformat.writes(notebook)
        told[chapter] = f"the record says {number['text'].removesuffix(' %')}"
    code, warnings = built(tmp_path, pages)
    assert code != 0
    assert {name for name in told if told[name] in warnings[name]} == set(told), dict(warnings)


# ---------------------------------------------------------------- what a reader sees


@pytest.mark.parametrize("name", LEAST)
def test_a_number_leads_to_the_command_that_made_it(name: str, book: Book) -> None:
    numbers = parse(book.html / "book" / f"{Path(name).stem}.html").select("article a.recorded")
    assert len(numbers) == len(numbers_of(ROOT / "book" / name))
    listed = parse(book.html / "book" / f"{PAGE}.html")
    for number in numbers:
        page, _, anchor = number["href"].partition("#")
        assert page == f"{PAGE}.html"
        record, command = re.fullmatch(r"(\w+): .+\. Made by (.+)", number["title"]).groups()
        section = listed.find(id=anchor)
        assert section.find(["h2", "h3"]).text.strip("#") == record
        assert command.split("; ")[0] in section.text


def test_the_page_of_all_records_has_every_one_with_its_provenance(book: Book) -> None:
    listed = parse(book.html / "book" / f"{PAGE}.html")
    for name in (path.stem for path in RESULTS.glob("*.json")):
        made = load_provenance(name, RESULTS)
        section = listed.find(id=f"record-{name.replace('_', '-')}")
        text = section.text.replace("’", "'").replace(" 1 thread,", " 1 threads,")
        for told in ("description", "command", "finished", "machine"):
            assert made[told] in text, (name, told)
        assert f"{made['seeds']} seeds" in section.text
        assert all(f"{each:,.0f}" in section.text for each in made["seconds_per_seed"])
        assert all(f"book/results/{file}" in section.text for file in made["sha256"])
        kept = book.html / "book" / section.select_one("a.download")["href"]
        assert kept.read_bytes() == (RESULTS / f"{name}.csv").read_bytes()


@pytest.mark.parametrize("width", [390, 1280])
def test_a_number_is_quiet_and_reached_by_key_and_by_touch(
    book: Book, page: Page, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    visit(page, book, "book/14-verdicts")
    number = page.locator("article a.recorded").first
    around = number.locator("xpath=..")
    colours = [each.evaluate("node => getComputedStyle(node).color") for each in (number, around)]
    assert colours[0] == colours[1]
    assert number.evaluate("node => getComputedStyle(node).textDecorationStyle") == "dotted"
    number.focus()
    assert number.evaluate("node => getComputedStyle(node).outlineStyle") != "none"
    page.keyboard.press("Enter")
    page.wait_for_url("**/how-each-number-is-made.html#record-latent-flow")
    place = page.locator("#record-latent-flow").bounding_box()
    assert place is not None
    assert 0 <= place["y"] < 400


def test_the_answer_fits_on_one_page(book: Book) -> None:
    article = parse(book.html / "book" / "why-is-the-vae-prior-normal.html").find("article")
    assert 400 <= len(article.text.split()) <= 520  # 400 to 500 of prose, and headings
