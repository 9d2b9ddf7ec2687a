"""Draw the still pictures that ship with the package: ``python -m vaebook.explorer stills``."""

import argparse
from pathlib import Path

from vaebook.explorer import WIDGETS

STILLS = Path(__file__).parent / "stills"


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m vaebook.explorer", description=__doc__)
    parser.add_argument("what", choices=["stills"])
    parser.add_argument("names", nargs="*", default=list(WIDGETS), help="all by default")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - WIDGETS.keys()
    if unknown:
        parser.error(f"no widget {min(unknown)!r}; expected some of {', '.join(WIDGETS)}")
    for name in arguments.names:
        (STILLS / f"{name}.png").write_bytes(WIDGETS[name]().redraw())
        print(f"drew {name}.png")


if __name__ == "__main__":
    main()
