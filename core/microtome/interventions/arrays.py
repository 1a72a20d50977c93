"""Values that a user hands over, as arrays of their own that nothing can change."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from microtome.errors import EditError, described
from microtome.sites import Site


def frozen_array(value: Any, what: str, site: Site | str, way_out: str) -> NDArray[np.float64]:
    """A float64 copy of an array, a tensor or a number.

    Raises EditError, which names ``what`` it is for which site, for anything else and for NaN or
    infinity.
    """
    given = value.detach().cpu().double().numpy() if isinstance(value, Tensor) else value
    try:
        array = None if given is None else np.array(given, dtype=np.float64)
    except (TypeError, ValueError):
        array = None
    if array is None:
        raise EditError(
            f"The {what} is {described(value)}, but an array or a number was expected.", way_out
        )
    if not np.isfinite(array).all():
        raise EditError(f"The {what} for {site} holds NaN or infinity.", "Give finite numbers.")
    array.flags.writeable = False
    return array
