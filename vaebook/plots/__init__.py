"""The book's figures: one theme, one colour per model, images in grids."""

from vaebook.plots.images import image_grid, show_images
from vaebook.plots.theme import COLOURS, colour_of, use_theme

__all__ = ["COLOURS", "colour_of", "image_grid", "show_images", "use_theme"]
