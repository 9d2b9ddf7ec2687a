"""Make what ships with the package: trained weights and still pictures.

    python -m vaebook.explorer train NAME …   # trains, measures, writes weights/NAME.safetensors
    python -m vaebook.explorer stills NAME …  # draws stills/NAME.png

The latent plane takes half an hour on one core, nearly all of it for the distances to the nearest
possible dog; the others take a minute or two.
"""

import argparse
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from vaebook.explorer import WIDGETS

FOLDER = Path(__file__).parent
TRAINED = {  # by the name of the file, the function that makes it
    "latent-plane": "plane.measured_plane",
    "latent-sliders": "sliders.train_sliders",
    "flow": "flow.train_flow",
    "loss": "loss.train_loss",
}


def train(name: str) -> None:
    """Write the weights of a widget."""
    module, function = TRAINED[name].split(".")
    make: Callable[[], dict[str, Tensor]] = getattr(
        import_module(f"vaebook.explorer.training.{module}"), function
    )
    found = {key: value.contiguous() for key, value in make().items()}
    save_file(found, FOLDER / "weights" / f"{name}.safetensors")


def draw(name: str) -> None:
    """Write the still picture of a widget."""
    (FOLDER / "stills" / f"{name}.png").write_bytes(WIDGETS[name]().redraw())


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m vaebook.explorer", description=__doc__)
    parser.add_argument("what", choices=["train", "stills"])
    parser.add_argument("names", nargs="*", help="all by default")
    arguments = parser.parse_args()
    known, make = (TRAINED, train) if arguments.what == "train" else (WIDGETS, draw)
    for name in arguments.names or known:
        if name not in known:
            parser.error(f"no {name!r} to {arguments.what}; expected some of {', '.join(known)}")
        make(name)
        print(f"made {name}")


if __name__ == "__main__":
    main()
