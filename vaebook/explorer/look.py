"""The book's colours on light and on dark paper, legible on both."""

from matplotlib.colors import to_hex, to_rgb

from vaebook.plots import COLOURS

PAPERS = {"light": ("#f5f7fa", "#222222"), "dark": ("#1d2229", "#e6e6e6")}  # ground and ink
CONTRASTS = {"marks": 3.0, "text": 4.6}  # least contrast with the ground


def colour_table() -> dict[str, dict[str, dict[str, str]]]:
    """``table["marks" | "text"]["light" | "dark"][name]``: what the page's script draws with."""
    return {
        use: {
            scheme: {
                name: legible(colour, *PAPERS[scheme], least) for name, colour in COLOURS.items()
            }
            for scheme in PAPERS
        }
        for use, least in CONTRASTS.items()
    }


def legible(colour: str, paper: str, ink: str, least: float) -> str:
    """The colour, mixed with as little ink as gives the contrast with the paper.

    Args:
        colour, paper, ink: as matplotlib names them.
        least: contrast by WCAG 2, from 1 to 21.

    Raises:
        ValueError: if even pure ink has less contrast.
    """
    for percent in range(101):
        mixed = _mix(colour, ink, percent / 100)
        if contrast(mixed, paper) >= least:
            return mixed
    raise ValueError(
        f"ink {ink} on paper {paper} has a contrast of {contrast(ink, paper):.1f}; expected "
        f"{least} or more. Choose a darker ink or a lighter paper."
    )


def contrast(first: str, second: str) -> float:
    """The contrast of two colours by WCAG 2: 1 for equal ones, 21 for black on white."""
    bright, dark = sorted(map(_luminance, (first, second)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _mix(first: str, second: str, share: float) -> str:
    red, green, blue = (
        (1 - share) * a + share * b for a, b in zip(to_rgb(first), to_rgb(second), strict=True)
    )
    return to_hex((red, green, blue))


def _luminance(colour: str) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
