"""Typeset the built book as one PDF: ``_build/pdf/why-normal.pdf``.

    python -m tools.pdf            (make pdf builds the book first)

Chromium prints it, twice: first to learn on which page each heading falls, then with these numbers
in the contents and the index. Its fonts come with matplotlib and MathJax, so that the pages are
the same on every machine. Whatever would be wrong on paper is an error, and then there is no PDF:
a dead link, an id that stands twice, a formula that MathJax refuses, a line that leaves the page,
a character that no font has.
"""

from tools.pdf.document import Document, join
from tools.pdf.printed import FaultyPdfError, missing_glyphs
from tools.pdf.typeset import head, make_pdf, mathjax, print_document

__all__ = [
    "Document",
    "FaultyPdfError",
    "head",
    "join",
    "make_pdf",
    "mathjax",
    "missing_glyphs",
    "print_document",
]
