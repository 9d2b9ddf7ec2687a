"""The verdicts as cards: what the first page, the chapters and the last chapter show."""

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup
from scipy.stats import t as student

from tests.conftest import ROOT, Book
from tests.pages import PAGES, parse
from vaebook.experiments import CLAIMS, load_recorded, scoreboard, verdict_cards
from vaebook.experiments.ch09_why_normal.records import load_trial
from vaebook.experiments.ch12_vae_versus_gan.records import load_comparison
from vaebook.experiments.claims.c2_no_need_for_normal import OTHERS
from vaebook.experiments.claims.c5_another_distribution import CHOSEN
from vaebook.experiments.claims.c8_better_images import VAES
from vaebook.experiments.claims.cards import KINDS

MOST_WORDS = 18
REVIEWS = {claim.name: claim.review for claim in CLAIMS}


def cards_of(html: str) -> dict[str, dict[str, str]]:
    """The texts of each card on a page, by claim."""
    page = BeautifulSoup(html, "html.parser")
    return {
        card["id"].removeprefix("verdict-").upper(): {
            "kind": next(name for name in card["class"] if name != "verdict"),
            **{
                part: card.find(class_=f"verdict-{part}").text.replace("\N{NO-BREAK SPACE}", " ")
                for part in ("claim", "outcome", "sentence", "number", "review", "link")
                if card.find(class_=f"verdict-{part}")
            },
        }
        for card in page.select("div.verdict")
    }


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_a_card_says_what_the_judge_says_in_few_words(claim) -> None:
    assert claim.judge is not None
    found = claim.judge(None)
    (card,) = cards_of(verdict_cards(claim.name)._repr_html_()).values()
    assert card["outcome"] == found.outcome
    assert card["sentence"] == found.sentence
    assert card["number"] == found.number
    assert claim.text.replace("*", "") in card["claim"]
    assert card["kind"] == f"verdict-{KINDS[found.outcome]}"
    assert 5 <= len(found.sentence.split()) <= MOST_WORDS
    assert re.search(r"± |\d to ", found.number), "a number comes with its interval"
    assert card.get("review", "") == (f"under review: {claim.review}" if claim.review else "")


def test_every_outcome_has_a_colour_of_its_own() -> None:
    assert len(set(KINDS.values())) == len(KINDS)
    css = (ROOT / "book" / "_static" / "book.css").read_text(encoding="utf-8")
    for kind in set(KINDS.values()) - {"open"}:  # the plain card
        assert f".verdict-{kind}" in css


def test_in_full_a_card_has_evidence_rule_and_commands() -> None:
    board = scoreboard()
    page = BeautifulSoup(verdict_cards(full=True)._repr_html_(), "html.parser")
    for name, row in board.iterrows():
        text = page.find(id=f"verdict-{name.lower()}").find(class_="verdict-more").text
        text = text.replace("\N{NO-BREAK SPACE}", " ")
        assert row["evidence"].replace("*", "") in text
        assert row["rule"] in text
        for command in row["commands"]:
            assert command in text


def test_the_first_page_and_the_last_chapter_show_the_same_cards(book: Book) -> None:
    first = cards_of((book.html / f"{PAGES[0]}.html").read_text(encoding="utf-8"))
    last = cards_of((book.html / "book" / "14-verdicts.html").read_text(encoding="utf-8"))
    assert list(first) == [claim.name for claim in CLAIMS]
    assert first == last


def test_the_links_of_cards_lead_to_notebooks_in_a_notebook_and_to_pages_on_a_page(
    book: Book,
) -> None:
    for link in BeautifulSoup(verdict_cards()._repr_html_(), "html.parser").find_all("a"):
        assert (ROOT / "book" / link["href"]).is_file()
    found = parse(book.html / f"{PAGES[0]}.html").select(".verdict-link a")
    assert len(found) == sum(len(claim.chapters) for claim in CLAIMS)
    for link in found:
        assert (book.html / "book" / link["href"]).is_file()
        assert link["href"].endswith(".html")


def test_no_chapter_prints_a_verdict() -> None:
    for path in sorted((ROOT / "book").glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code":
                assert not re.search(r"print\(.*\.(outcome|evidence)\b", cell.source)


def test_an_unknown_claim_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no claim 'C9'; expected one of C1"):
        verdict_cards("C9")


def test_what_a_review_compares_with_is_what_the_record_says() -> None:
    gan = load_recorded("comparison_adversarial")
    gan = gan[(gan["model"] == "GAN") & (gan["budget"] == "equal seconds")]
    vae = load_recorded("comparison")
    vae = vae[vae["budget"] == "equal seconds"].groupby("model")[["frechet", "validity"]].mean()
    best = vae.loc["VAE + mixture"]
    review = REVIEWS["C8"]
    assert f"(here {gan['frechet'].mean():.2f})" in review
    assert f"({100 * gan['validity'].mean():.0f} %)" in review
    assert f"1.25 ({best['frechet']:.2f}) and 97 % ({100 * best['validity']:.0f} %)" in review
    assert f"{100 * vae.loc['VAE', 'validity']:.0f} % of cases" in REVIEWS["C4"]


def test_the_review_of_the_blur_reads_the_records_of_chapter_12() -> None:
    found = []
    for name in ("dogs", "fashion"):
        record = load_comparison(name)
        record = record[record["budget"] == "equal seconds"]
        sharp = record.pivot(index="seed", columns="model", values="sharpness")
        twin = sharp["autoencoder + mixture"]
        back = [((twin - sharp[vae]) / (1 - sharp[vae])).mean() for vae in VAES]
        found += [round(100 * min(back)), round(100 * max(back))]
    told = "{} to {} % of what samples of dogs lack comes back without the KL term, of clothes {} "
    assert (told + "to {} %").format(*found) in REVIEWS["C7"]


def test_the_review_of_the_priors_is_what_their_scatter_gives() -> None:
    """The rules of C2 and C5 on priors without an advantage, with the recorded covariance."""
    record = load_trial(None)
    nats, dogs = (
        record.pivot(index="seed", columns="model", values=v) for v in ("nll", "validity")
    )
    nats, dogs = (table.sub(table["normal"], axis=0) for table in (nats, dogs))
    # C5: at most 10 points fewer dogs
    middle, half = simulated(dogs[list(CHOSEN)].to_numpy())
    good = middle - half > -0.1
    assert shares_told("C5") == pytest.approx([good.mean(), good.all(1).mean()], abs=0.02)
    # C2: less than one nat more as well, for one of six
    both = np.hstack([nats[list(OTHERS)].to_numpy(), dogs[list(OTHERS)].to_numpy()])
    middle, half = simulated(both)
    count = len(OTHERS)
    good = ((middle + half)[:, :count] < 1) & ((middle - half)[:, count:] > -0.1)
    assert shares_told("C2") == pytest.approx([good.mean(), good.any(1).mean()], abs=0.02)


def simulated(differences: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means and half widths of 95 % intervals of as many seeds, were the true differences 0."""
    seeds, columns = differences.shape
    covariance = np.cov(differences.T)
    draws = np.random.default_rng(0).multivariate_normal(
        np.zeros(columns), covariance, (20_000, seeds), check_valid="ignore"
    )
    width = student.ppf(0.975, seeds - 1) / seeds**0.5
    return draws.mean(1), width * draws.std(1, ddof=1)


def shares_told(name: str) -> list[float]:
    """The percentages of a review, as shares."""
    return [int(number) / 100 for number in re.findall(r"(\d+) %", REVIEWS[name])]
