"""A progress bar in a terminal and in a notebook."""

import sys
import warnings
from typing import Any


def progress_bar(name: str, num_steps: int | None, done: int, show: bool | None) -> Any:
    """A bar that counts optimiser steps.

    Args:
        num_steps: of the whole run, if known.
        done: steps that a resumed run has behind it.
        show: ``None`` shows it in a terminal and in a notebook, unless the environment variable
            ``TQDM_DISABLE`` is set.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without ipywidgets tqdm draws text, and complains
        from tqdm.auto import tqdm
    hide = None if show is None else not show
    if show is None and _in_notebook():
        return tqdm(desc=name, total=num_steps, initial=done, unit="step")
    return tqdm(desc=name, total=num_steps, initial=done, unit="step", disable=hide)


def _in_notebook() -> bool:
    kernel = sys.modules.get("IPython")
    shell = kernel.get_ipython() if kernel is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"
