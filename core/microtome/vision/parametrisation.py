"""Pictures as spectra: what is optimised in a feature visualisation.

A picture is the inverse Fourier transform of a spectrum whose coefficients are scaled by one over
their frequency, as those of photographs fall; of a picture with three channels the channels are
made of uncorrelated colours; a sigmoid keeps all of it within the range of real pixels.
Source: Olah, Mordvintsev and Schubert, "Feature Visualization", Distill (2017).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

# The square root of the covariance of colours over ImageNet; a column is an uncorrelated colour.
# Source: lucid/optvis/param/color.py of Lucid, the code of Olah et al. 2017.
_COLOURS = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
FAINT = 0.05  # of the random coefficients at the start: nearly grey


class FourierPictures:
    """Pictures [row, channel, height, width] from 0 to 1, made of the spectra that it holds."""

    def __init__(
        self, shape: tuple[int, int, int], generators: Sequence[torch.Generator], device: str
    ) -> None:
        self._shape, self._device = shape, device
        self._scale = _one_over_frequency(shape[1], shape[2]).to(device)
        self._colours = _decorrelated(shape[0]).to(device)
        self.spectra = self.drawn(generators, FAINT).requires_grad_()

    def drawn(
        self, generators: Sequence[torch.Generator], strength: float
    ) -> Float[Tensor, "row channel frequency half 2"]:
        """Random spectra, a row of its own generator each."""
        channels, height, width = self._shape
        size = (channels, height, width // 2 + 1, 2)
        rows = [torch.randn(size, generator=one) for one in generators]
        return (torch.stack(rows) * strength).to(self._device)

    def pictures(self) -> Float[Tensor, "row channel height width"]:
        """The pictures, from which gradients flow to the spectra."""
        scaled = torch.view_as_complex(self.spectra) * self._scale
        raw = torch.fft.irfft2(scaled, s=self._shape[1:], norm="ortho")
        return torch.sigmoid(torch.einsum("oc,rchw->rohw", self._colours, raw))


def _one_over_frequency(height: int, width: int) -> Float[Tensor, "frequency half"]:
    """1 / frequency in cycles a pixel; the mean counts as the lowest frequency there is."""
    down, across = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None]
    return 1 / (down.square() + across.square()).sqrt().clamp_min(1 / max(height, width))


def _decorrelated(channels: int) -> Float[Tensor, "channel colour"]:
    """What colours are mixed from: nothing to mix where there is one channel."""
    if channels != len(_COLOURS):
        return torch.eye(channels)
    mixed = torch.tensor(_COLOURS)
    return mixed / mixed.norm(dim=0).max()
