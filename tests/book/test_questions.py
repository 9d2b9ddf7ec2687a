"""The page of reader questions: every question is answered on the page before it links away."""

import re
from collections import Counter
from dataclasses import dataclass

import nbformat
import pytest

from tests.conftest import ROOT

PAGE = ROOT / "book" / "questions.md"
TERM = re.compile(r"\[(?P<question>.+)\]\{#(?P<anchor>q-[a-z0-9-]+)\}")
LINK = re.compile(r"\{ref\}`(?:[^`<]*<)?(?P<label>[^`<>]+)>?`")
# "(name)=" before a heading or a paragraph; ":label: name" and ":name: name" in a directive
LABEL = re.compile(r"^(?:\((?P<target>[\w-]+)\)=|:(?:label|name): (?P<option>[\w-]+))\s*$", re.M)


@dataclass(frozen=True)
class Item:
    """A question, the sentences of its answer (one a line), and the labels behind its links."""

    question: str
    anchor: str
    answer: tuple[str, ...]
    labels: tuple[str, ...]


def items(text: str) -> list[Item]:
    """The entries of the page's definition lists."""
    found = []
    for block in re.split(r"\n(?=\[)", text)[1:]:
        term, *rest = re.split(r"\n(?=#)", block)[0].splitlines()
        if (head := TERM.fullmatch(term)) is None:
            raise ValueError(f"no question with an anchor: {term}")
        body = [line.removeprefix(": ").strip() for line in rest]
        first = next((i for i, line in enumerate(body) if LINK.search(line)), len(body))
        answer = tuple(line for line in body[:first] if line)
        labels = tuple(match["label"] for match in LINK.finditer("\n".join(body)))
        found.append(Item(head["question"], head["anchor"], answer, labels))
    return found


def faults(item: Item) -> list[str]:
    """What is missing from an entry."""
    missing = []
    if "?" not in item.question:
        missing.append("no question")
    if len(item.answer) not in (2, 3):
        missing.append(f"{len(item.answer)} sentences")
    if not 20 <= sum(len(sentence.split()) for sentence in item.answer) <= 90:
        missing.append("not 20 to 90 words")
    if any(re.search(r"[.?!] +[A-Z]|[^.?!]$", sentence) for sentence in item.answer):
        missing.append("not one whole sentence a line")
    if not item.labels:
        missing.append("no link")
    return missing


def labels_of_the_book() -> set[str]:
    """The labels that the chapters and the other pages define."""
    book = ROOT / "book"
    texts = [path.read_text(encoding="utf-8") for path in book.glob("*.md")]
    texts += [
        cell.source
        for path in book.glob("*.ipynb")
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "markdown"
    ]
    return {match["target"] or match["option"] for text in texts for match in LABEL.finditer(text)}


QUESTIONS = items(PAGE.read_text(encoding="utf-8"))


def test_page_is_read_whole() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert len(QUESTIONS) == text.count("{#q-") == len(re.findall(r"^: ", text, re.M)) > 100
    assert sum(len(item.labels) for item in QUESTIONS) == text.count("{ref}`")


@pytest.mark.parametrize("item", QUESTIONS, ids=[item.anchor for item in QUESTIONS])
def test_question_is_answered_before_it_links(item: Item) -> None:
    assert not faults(item), item.question


def test_links_lead_to_labels_of_the_book() -> None:
    known = labels_of_the_book()
    assert not {label for item in QUESTIONS for label in item.labels} - known


@pytest.mark.parametrize("part", ["question", "anchor", "answer"])
def test_no_two_entries_are_alike(part: str) -> None:
    counted = Counter(getattr(item, part) for item in QUESTIONS)
    assert [value for value, times in counted.items() if times > 1] == []


WHOLE = """\
[Is it so?]{#q-so}
: It is so, and here are enough words to make of this a sentence that one can take away.
  It would not be so if there were nothing here.

  → {ref}`The section <ch01-size>`
"""


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("Is it so?", "It is so.", "no question"),
        ("  It would not be so if there were nothing here.\n", "", "1 sentences"),
        ("if there were nothing here.", "if. There were nothing.", "not one whole sentence a line"),
        ("nothing here.", "nothing here", "not one whole sentence a line"),
        (", and here are enough words to make of this a sentence", "", "not 20 to 90 words"),
        ("{ref}`The section <ch01-size>`", "", "no link"),
    ],
)
def test_faults_are_found(old: str, new: str, fault: str) -> None:
    assert [faults(item) for item in items("\n" + WHOLE)] == [[]]
    (item,) = items("\n" + WHOLE.replace(old, new, 1))
    assert fault in faults(item)


def test_a_question_with_links_only_is_a_fault() -> None:
    (item,) = items("\n[Is it so?]{#q-so}\n: {ref}`The section <ch01-size>`\n")
    assert faults(item) == ["0 sentences", "not 20 to 90 words"]


def test_the_first_page_counts_the_questions() -> None:
    intro = (ROOT / "book" / "intro.md").read_text(encoding="utf-8")
    assert f"answers {len(QUESTIONS)} in two sentences each" in intro
