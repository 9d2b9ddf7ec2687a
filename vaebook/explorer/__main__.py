"""Make what ships with the package: trained weights and still pictures.

    python -m vaebook.explorer train NAME …   # trains, measures, writes weights/NAME.safetensors
    python -m vaebook.explorer stills NAME …  # draws stills/NAME.png

The latent plane takes half an hour on one core, nearly all of it for the distances to the nearest
possible dog; the others take a minute or two.
"""

import argparse
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from vaebook.explorer import WIDGETS
from vaebook.training.files import check_writable, write_atomically

FOLDER = Path(__file__).parent
TRAINED = {  # by the name of the file, the function that makes it
    "latent-plane": "plane.measured_plane",
    "latent-sliders": "sliders.train_sliders",
    "flow": "flow.train_flow",
    "loss": "loss.train_loss",
}


def train(name: str) -> None:
    """Write the weights of a widget, in one step."""
    path = check_writable(FOLDER / "weights" / f"{name}.safetensors")
    module, function = TRAINED[name].split(".")
    make: Callable[[], dict[str, Tensor]] = getattr(
        import_module(f"vaebook.explorer.training.{module}"), function
    )
    found = {key: value.contiguous() for key, value in make().items()}
    write_atomically(path, save(found))


def draw(name: str) -> None:
    """Write the still picture of a widget, in one step."""
    write_atomically(FOLDER / "stills" / f"{name}.png", WIDGETS[name]().redraw())


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line asks for; nothing, if one of the names is unknown."""
    parser = argparse.ArgumentParser(prog="python -m vaebook.explorer", description=__doc__)
    parser.add_argument("what", choices=["train", "stills"])
    parser.add_argument("names", nargs="*", metavar="name", help="all by default")
    options = parser.parse_args(arguments)
    known, make = (TRAINED, train) if options.what == "train" else (WIDGETS, draw)
    names = options.names or list(known)
    for name in names:
        if name not in known:
            parser.error(f"no {name!r} to {options.what}; expected some of {', '.join(known)}")
    for name in names:
        make(name)
        print(f"made {name}")


if __name__ == "__main__":
    main()
