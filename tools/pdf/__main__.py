"""The command line: see the package."""

import argparse
import sys
from pathlib import Path

import tools.pdf as package
from tools.pdf import FaultyPdfError, make_pdf
from tools.pdf.front import ROOT


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(package.__doc__ or "").split("\n\n")[0])
    parser.add_argument("--html", type=Path, default=ROOT / "_build/html", help="the built book")
    parser.add_argument("--output", type=Path, default=ROOT / "_build/pdf/why-normal.pdf")
    options = parser.parse_args()
    try:
        num_pages = make_pdf(options.html, options.output)
    except (FaultyPdfError, FileNotFoundError) as error:
        sys.exit(str(error))
    size = options.output.stat().st_size / 1e6
    print(f"{options.output}: {num_pages} pages, {size:.1f} MB")


if __name__ == "__main__":
    main()
