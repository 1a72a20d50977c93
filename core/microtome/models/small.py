"""Small models compute on one thread: see ``devices.one_thread`` for the reason.

What a run of one gives is then the same to the last bit, however many threads torch may use.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from microtome.models.devices import one_thread
from microtome.models.model import Model

_PIXELS, _WEIGHTS = 64 * 64, 1 << 24  # of an image that is read, and of the model: a ResNet-18

Ask = TypeVar("Ask", bound=Callable[..., object])


def is_small(model: object) -> bool:
    """Whether a model has so little to do that a second thread costs more than it saves.

    A lesion of shapes-resnet takes 0.6 s of processor time on one thread and 2.8 s on two; all
    that is asked of a prompt of words-4l 1.5 s by the clock and 6.7 s where others have a core.
    """
    if not isinstance(model, Model):
        return False
    sight = model.sight
    if sight is None:
        return model.identity.n_parameters <= _WEIGHTS
    _channels, rows, columns = sight.shape
    weights = sum(each.numel() for each in sight.module.parameters())
    return rows * columns <= _PIXELS and weights <= _WEIGHTS


def small_on_one_thread(ask: Ask) -> Ask:
    """What is asked of a model, the first argument, computes on one thread where that is small.

    Also where it fails or is stopped, torch has as many threads as before afterwards.
    """

    @wraps(ask)
    def asked(model: Any, *args: Any, **options: Any) -> Any:
        with one_thread(when=is_small(model)):
            return ask(model, *args, **options)

    return cast("Ask", asked)
