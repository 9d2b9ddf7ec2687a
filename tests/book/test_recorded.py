"""Numbers of the prose that are held against their records when the book is built."""

import hashlib
import json
import re
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import ROOT, Book
from tests.pages import parse

sys.path.insert(0, str(ROOT / "book" / "_ext"))
from recorded import FORM, expected_text, measured, shows

sys.path.pop(0)

ROLE = re.compile(r"\{recorded\}`([^`]+)`")
SEEDS = range(5)


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """A record whose means and intervals are known."""
    rows = [
        {"seed": seed, "model": model, "share": share + 0.01 * seed, "nll": nll + seed}
        for seed in SEEDS
        for model, share, nll in (("VAE", 0.60, 10.0), ("GAN", 0.50, 13.0), ("β = 1", 0.1, 0.0))
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "trial.csv", index=False)
    checksum = hashlib.sha256((tmp_path / "trial.csv").read_bytes()).hexdigest()
    provenance = {"command": "record", "sha256": {"trial.csv": checksum}}
    (tmp_path / "trial.json").write_text(json.dumps(provenance))
    return tmp_path


@pytest.mark.parametrize(
    ("text", "target", "told"),
    [
        ("62 ± 2 %", "trial: share | model=VAE", "62 ± 2"),  # 2.776 · 0.01581 / √5 = 0.0196
        ("12.0", "trial: nll | model=VAE", "12.0"),
        ("+3 nats", "trial: nll | model=GAN | minus model=VAE", "+3"),  # seed by seed: no spread
        ("−10 points", "trial: share | model=GAN | minus model=VAE", "−10"),
        ("12 %", "trial: share | model=β = 1", "12"),  # a value with an equals sign
        ("0.64", "trial: largest share", "0.64"),
    ],
)
def test_a_target_names_a_number_of_a_record(
    text: str, target: str, told: str, records: Path
) -> None:
    assert expected_text(text, target, records) == told
    assert shows(text, told)


@pytest.mark.parametrize(
    ("text", "told"),
    [("62 ± 2 %", "62 ± 3"), ("10 %", "0"), ("3.14", "3.1"), ("−3", "3"), ("162", "62")],
)
def test_digits_of_another_number_are_not_the_number(text: str, told: str) -> None:
    assert not shows(text, told)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nothing: share", "nothing.csv is not recorded"),
        ("trial: shares", "no column 'shares'; expected one of seed, model"),
        ("trial: share | model=WAE", "no row has model = 'WAE'; expected one of VAE, GAN"),
        ("trial: share | modell=VAE", "no column 'modell'"),
    ],
)
def test_what_a_target_does_not_name_is_said(target: str, message: str, records: Path) -> None:
    with pytest.raises(ValueError, match=message):
        measured(target, records)


def test_every_number_that_a_page_holds_against_a_record_is_right_and_a_wrong_one_is_not() -> None:
    roles = [
        role
        for path in sorted((ROOT / "book").glob("*.md"))
        for role in ROLE.findall(path.read_text(encoding="utf-8"))
    ]
    assert len(roles) >= 10
    for role in roles:
        form = FORM.fullmatch(role)
        assert form, role
        told = expected_text(form["text"], form["target"])
        assert shows(form["text"], told), f"{role}: the record says {told}"
        wrong = re.sub(r"\d(?!.*\d)|[⁰¹²³⁴⁵⁶⁷⁸](?=$|\D)", "", form["text"], count=1)
        assert not shows(wrong, told), "one digit less must be noticed"


def test_a_number_on_a_page_says_which_command_made_it(book: Book) -> None:
    page = parse(book.html / "book" / "why-is-the-vae-prior-normal.html")
    numbers = page.select("span.recorded")
    assert len(numbers) >= 8
    for number in numbers:
        assert number["title"].startswith("recorded by python -m vaebook.experiments")


def test_the_answer_fits_on_one_page(book: Book) -> None:
    article = parse(book.html / "book" / "why-is-the-vae-prior-normal.html").find("article")
    assert 400 <= len(article.text.split()) <= 520  # 400 to 500 of prose, and headings
