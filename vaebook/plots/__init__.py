"""The book's figures and tables: one theme, one colour per model, images in grids, numbers."""

from vaebook.plots.images import image_grid, show_images
from vaebook.plots.tables import Table, interval_text, number_text, summary_text, table, unbroken
from vaebook.plots.theme import COLOURS, colour_of, use_theme

__all__ = [
    "COLOURS",
    "Table",
    "colour_of",
    "image_grid",
    "interval_text",
    "number_text",
    "show_images",
    "summary_text",
    "table",
    "unbroken",
    "use_theme",
]
