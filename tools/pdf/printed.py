"""What is in a printed PDF: where things are, which glyphs are missing, the outline."""

from collections.abc import Iterator
from typing import Any

import pikepdf

from tools.pdf.front import config


class FaultyPdfError(Exception):
    """What would be wrong on paper, a line for each fault."""


def refuse(problems: list[str]) -> None:
    """Raise what is wrong, if anything is."""
    if problems:
        raise FaultyPdfError("\n".join(problems[:50]))


def page_numbers(pdf: pikepdf.Pdf) -> dict[str, int]:
    """The page, counted from 1, to which each named place of the document leads."""
    numbers = {page.obj.objgen: number for number, page in enumerate(pdf.pages, start=1)}
    places: Any = pdf.Root.get("/Dests", {})
    return {name[1:]: numbers[place[0].objgen] for name, place in places.items()}


def name_outline(pdf: pikepdf.Pdf, headings: list[str]) -> None:
    """Give the outline the words of the headings; Chromium loses a space where a line ends."""

    def entries(items: list[pikepdf.OutlineItem]) -> Iterator[pikepdf.OutlineItem]:
        for item in items:
            yield item
            yield from entries(item.children)

    with pdf.open_outline(max_depth=9) as outline:
        named = list(entries(outline.root))
        if len(named) != len(headings):
            refuse([f"the outline has {len(named)} entries for {len(headings)} headings"])
        for item, words in zip(named, headings, strict=True):
            item.title = words
    with pdf.open_metadata() as about:
        about["dc:creator"] = [config()["author"]]
        about["dc:title"] = config()["title"]


def missing_glyphs(pdf: pikepdf.Pdf) -> list[str]:
    """Where a character is printed as the empty box of a font that lacks it: as glyph 0."""
    return [
        f"page {number}: a character that no font has, drawn as the empty box of {font}"
        for number, page in enumerate(pdf.pages, start=1)
        for font in fonts_that_lack(page)
    ]


def fonts_that_lack(canvas: pikepdf.Page | pikepdf.Object) -> Iterator[str]:
    """The fonts of which a page, or a drawing on it, shows glyph 0."""
    resources: Any = getattr(canvas, "obj", canvas).get("/Resources", {})
    font, wide = "", False
    for order in pikepdf.parse_content_stream(canvas, "Tf Tj TJ"):
        arguments: Any = order.operands
        operator = order.operator
        if str(operator) == "Tf":
            used = resources["/Font"][str(arguments[0])]
            font, wide = str(used.get("/BaseFont", "a font")), used["/Subtype"] == "/Type0"
            continue
        shown = arguments[0] if str(operator) == "TJ" else arguments
        for text in shown:
            codes = bytes(text) if isinstance(text, pikepdf.String) else b""
            step = 2 if wide else 1
            if any(not any(codes[start : start + step]) for start in range(0, len(codes), step)):
                yield font
    for drawing in resources.get("/XObject", {}).values():
        if drawing.get("/Subtype") == "/Form":
            yield from fonts_that_lack(drawing)
