"""The book's figures and tables: one theme, one colour per model, images, schematics, numbers."""

from vaebook.plots.images import image_grid, show_images
from vaebook.plots.intervals import dot_panel, interval_plot, log_ticks
from vaebook.plots.schematics import schematic
from vaebook.plots.tables import Table, interval_text, number_text, summary_text, table, unbroken
from vaebook.plots.theme import COLOURS, colour_of, use_theme

__all__ = [
    "COLOURS", "Table", "colour_of", "dot_panel", "image_grid", "interval_plot", "interval_text",
    "log_ticks", "number_text", "schematic", "show_images", "summary_text", "table", "unbroken",
    "use_theme",
]  # fmt: skip
