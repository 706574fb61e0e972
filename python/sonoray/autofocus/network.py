"""Sound speed by network: channel data in, map out, without PyTorch."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import array, count, option
from ..acquisition.channel_data import ChannelData, require_channel_data
from ..acquisition.probes import Probe
from ..errors import ArgumentError, FormatError
from ..learning.models import ModelSpec
from ..learning.runtime import OnnxModel
from ..media.grids import Grid
from ..media.medium import Medium
from .moveouts import Moveouts, MoveoutSettings

METHODS = ("cmp", "upstream")
LIMITS = (1380.0, 1680.0)  # m/s, a little beyond what tissue has and networks are trained on


class SoundSpeedNetwork:
    """Plan that estimates the sound speed in front of a probe from one frame of multistatic I/Q.

    Parameters
    ----------
    model : OnnxModel or path
        Method "cmp": from moveouts (`Moveouts`) to the map. Method "upstream": the published trace encoder, with
        its ``head``. What the file's `ModelSpec` says of probe and sampling is enforced.
    head : OnnxModel or path, optional
        Of the published pair.
    extent : (x_first, x_last, z_first, z_last), optional [m]
        Of the published network's map, where its file does not say.
    max_traces : int
        That go through the encoder at once.
    device : {"cpu", "cuda", "cuda:N"}
        Where moveouts are computed; models given as paths are run on the host.

    Raises
    ------
    FormatError
        A model that says nothing of what it expects, or is none of sound speed.
    ArgumentError
        A pair that does not fit, a missing extent.

    Examples
    --------
    >>> network = SoundSpeedNetwork("sound_speed.onnx")  # doctest: +SKIP
    >>> medium = network(demodulate(channel_data, decimate=2))  # doctest: +SKIP
    """

    def __init__(
        self, model: Any, *, head: Any = None, extent: Any = None, max_traces: int = 4096, device: str = "cpu"
    ) -> None:
        self.model, self.spec = _opened(model)
        self.device = device
        self.method = option("model: method", self.spec.settings.get("method"), METHODS)
        self._max_traces = count("max_traces", max_traces, 1, 1 << 20)
        self._moveouts: Moveouts | None = None
        if self.method == "cmp":
            if head is not None or extent is not None:
                raise ArgumentError("head, extent: expected none with a 'cmp' model, which is complete")
            self._settings = MoveoutSettings.from_dict(self.spec.settings.get("moveouts"))
            self.grid = self._settings.grid
            return
        if head is None:
            raise ArgumentError("head: expected the second model of the published pair, got None")
        self.head, head_spec = _opened(head)
        if head_spec.n_tx != self.spec.n_tx or head_spec.n_samples != self.spec.n_samples:
            raise ArgumentError(
                f"head: expected the one of this encoder ({self.spec.n_tx} transmits, {self.spec.n_samples} samples), "
                f"got one of {head_spec.n_tx} transmits, {head_spec.n_samples} samples"
            )
        self.grid = _map_grid(extent if extent is not None else head_spec.settings.get("extent"))

    def __repr__(self) -> str:
        return f"SoundSpeedNetwork({self.spec.name!r}, {self.method!r}, {self.grid.shape} map)"

    def __call__(self, channel_data: ChannelData) -> Medium:
        """Estimate the map from the first frame.

        Parameters
        ----------
        channel_data : ChannelData
            I/Q; each element fires once, alone, in order.

        Returns
        -------
        Medium
            float32, on ``grid``.

        Raises
        ------
        ArgumentError
            Data of another probe, sequence or sampling than the model was made for; each difference is named.
        """
        require_channel_data(channel_data)
        differences = self.spec.check(channel_data)
        if differences:
            raise ArgumentError(f"channel_data: does not fit {self.spec.name!r}: {'; '.join(map(str, differences))}")
        speed = self._by_moveouts(channel_data) if self.method == "cmp" else self._by_traces(channel_data)
        return Medium(self.grid, np.clip(speed, *LIMITS).astype(np.float32))

    def features(self, channel_data: ChannelData) -> NDArray[np.float32]:
        """What a "cmp" network reads, (2 n_bins, lateral, depth)."""
        if self.method != "cmp":
            raise ArgumentError("features: expected a 'cmp' model, got the published pair, which reads traces")
        return self._plan(channel_data)(channel_data)

    def _plan(self, channel_data: ChannelData) -> Moveouts:
        plan = self._moveouts
        if plan is None or not _same_elements(plan.probe, channel_data.probe):
            plan = Moveouts(channel_data.probe, channel_data.demodulation_frequency, self._settings, device=self.device)
            self._moveouts = plan
        return plan

    def _by_moveouts(self, channel_data: ChannelData) -> NDArray[Any]:
        features = self._plan(channel_data)(channel_data)
        return np.asarray(self.model(features[None]))[0]

    def _by_traces(self, channel_data: ChannelData) -> NDArray[Any]:
        if not channel_data.is_iq:
            raise ArgumentError("channel_data: expected I/Q, got RF; demodulate() it")
        n_tx, n_rx = channel_data.n_tx, channel_data.n_rx
        traces = np.ascontiguousarray(channel_data.samples[0].reshape(n_tx * n_rx, -1), np.complex64)
        latent: NDArray[Any] | None = None
        for first in range(0, len(traces), self._max_traces):
            part = np.asarray(self.model(traces[first : first + self._max_traces]))
            if latent is None:
                latent = np.empty((len(traces), *part.shape[1:]), np.float32)
            latent[first : first + len(part)] = part
        assert latent is not None
        found = np.asarray(self.head(latent.reshape(1, n_tx, n_rx, *latent.shape[1:])))
        return found[0].T


def _opened(model: Any) -> tuple[OnnxModel, ModelSpec]:
    opened = model if isinstance(model, OnnxModel) else OnnxModel(model)
    if opened.spec is None:
        raise FormatError(f"{opened.path}: expected a model with a ModelSpec (probe, sampling, units), found none")
    return opened, opened.spec


def _map_grid(extent: Any) -> Grid:
    if extent is None:
        raise ArgumentError(
            "extent: expected (x_first, x_last, z_first, z_last) in m, since this model does not say where its map "
            "lies, got None"
        )
    x0, x1, z0, z1 = array("extent", extent, (4,), low=-2.0, high=2.0, unit="m")
    if not (x1 > x0 and z1 > z0):
        raise ArgumentError(f"extent: expected rising x and z, got {[x0, x1, z0, z1]}")
    return Grid((32, 32), ((x1 - x0) / 31, (z1 - z0) / 31), (x0, z0))


def _same_elements(a: Probe, b: Probe) -> bool:
    return a is b or (a.n_elements == b.n_elements and bool(np.allclose(a.positions, b.positions, atol=1e-9)))
