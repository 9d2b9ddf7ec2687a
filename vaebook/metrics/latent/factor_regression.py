"""What can be read off a code: each factor of a picture, by regression."""

import warnings
from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from vaebook._random import check_seed
from vaebook.metrics._inputs import as_tables


def factor_regression(
    codes: Float[Tensor, "n d"],
    factors: Float[Tensor, "n f"],
    held_out_codes: Float[Tensor, "m d"],
    held_out_factors: Float[Tensor, "m f"],
    *,
    seed: int = 0,
) -> Float[np.ndarray, " f"]:
    """The share of each factor's variance that a small network reads off held-out codes.

    Args:
        codes: of training pictures.
        factors: what those pictures are of.
        held_out_codes, held_out_factors: the same of others, on which it is measured.
        seed: of the network, below 2³².

    Returns:
        R² of each factor: 1 is all, 0 or less is nothing.

    Raises:
        ValueError: if the tables do not fit each other.
    """
    inputs = as_tables(minimum=10, what="picture", codes=codes, held_out_codes=held_out_codes)
    answers = as_tables(
        minimum=10, what="picture", factors=factors, held_out_factors=held_out_factors
    )
    for prefix, a, b in zip(("", "held_out_"), inputs, answers, strict=True):
        if len(a) != len(b):
            raise ValueError(
                f"{prefix}codes and {prefix}factors have {len(a)} and {len(b)} rows; expected "
                "a row of each for each picture."
            )
    x, x_other, y, y_other = (table.cpu().double().numpy() for table in (*inputs, *answers))
    if (seed := check_seed(seed)) >= 2**32:
        raise ValueError(f"seed is {seed}; expected one below 2**32, as scikit-learn takes it.")
    scale = StandardScaler().fit(y)
    network: Any = make_pipeline(
        StandardScaler(),
        MLPRegressor(
            hidden_layer_sizes=(128, 128), early_stopping=True, max_iter=200, random_state=seed
        ),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(x, scale.transform(y))
    guesses = network.predict(x_other).reshape(len(x_other), -1)
    found: np.ndarray = r2_score(scale.transform(y_other), guesses, multioutput="raw_values")
    return found
