"""What an object that came from a file is, in a few plain values."""

from collections import Counter
from typing import Any

import numpy as np

from ..acquisition.channel_data import ChannelData
from ..acquisition.flow_images import FlowImages
from ..acquisition.scan_lines import ScanLines
from ..errors import ArgumentError
from ..media.grids import Grid, SectorGrid
from ..media.medium import Medium


def summary(data: Any) -> dict[str, Any]:
    """Describe channel data, lines, a medium, an image or images of flow by values that ``json.dumps`` takes; SI units.

    Parameters
    ----------
    data : ChannelData, ScanLines, Medium, FlowImages or tuple (image, grid)
        What `sonoray.read` returns.

    Returns
    -------
    dict
        "kind" is "channel_data", "scan_lines", "medium", "image" or "flow_images"; unknown frequencies and rates are
        None.

    Examples
    --------
    >>> import sonoray
    >>> summary(sonoray.Medium(sonoray.Grid((2, 3), 1e-3, (0.0, 0.0)), 1500.0))["sound_speed"]
    [1500.0, 1500.0]
    """
    if isinstance(data, ChannelData):
        return _channel_data(data)
    if isinstance(data, ScanLines):
        return _scan_lines(data)
    if isinstance(data, FlowImages):
        return _flow_images(data)
    if isinstance(data, Medium):
        ranges = {n: getattr(data, n) for n in ("sound_speed", "density", "absorption")}
        return {
            "kind": "medium",
            "grid": _grid(data.grid),
            **{n: None if v is None else [float(v.min()), float(v.max())] for n, v in ranges.items()},
            "dtype": str(data.sound_speed.dtype),
        }
    if isinstance(data, tuple) and len(data) == 2 and isinstance(data[1], (Grid, SectorGrid)):
        image = np.asarray(data[0])
        magnitude = np.abs(image) if image.dtype.kind == "c" else image
        return {
            "kind": "image",
            "grid": _grid(data[1]),
            "shape": list(image.shape),
            "dtype": str(image.dtype),
            "range": [float(magnitude.min()), float(magnitude.max())],
        }
    raise ArgumentError(
        f"data: expected ChannelData, ScanLines, Medium, FlowImages or (image, grid), got {type(data).__name__}"
    )


def _scan_lines(lines: ScanLines) -> dict[str, Any]:
    n_frames, n_shots, n_lines, n_samples = lines.samples.shape
    return {
        "kind": "scan_lines",
        "signal": {"c": "IQ", "u": "envelope"}.get(lines.samples.dtype.kind, "RF"),
        "dtype": str(lines.samples.dtype),
        "n_frames": n_frames,
        "n_shots": n_shots,
        "n_lines": n_lines,
        "n_samples": n_samples,
        "bytes": int(lines.samples.nbytes),
        "center_frequency": lines.center_frequency,
        "frame_rate": lines.frame_rate or None,
        "duration": n_frames / lines.frame_rate if lines.frame_rate else None,
        "x": [float(lines.x[0]), float(lines.x[-1])],
        "angle": lines.angle,
        "ranges": [float(lines.ranges[0]), float(lines.ranges[-1])],
        "max_depth": float(lines.ranges[-1] * np.cos(lines.angle)),
    }


def _flow_images(flow: FlowImages) -> dict[str, Any]:
    return {
        "kind": "flow_images",
        "grid": _grid(flow.grid),
        "n_images": len(flow.velocity),
        "vectors": flow.vectors is not None,
        "nyquist": flow.nyquist,
        "image_rate": flow.image_rate or None,
        "velocity": [float(flow.velocity.min()), float(flow.velocity.max())],
        "painted": float(flow.painted.mean()),
    }


def _channel_data(data: ChannelData) -> dict[str, Any]:
    probe = data.probe
    angles = [float(np.arctan2(t.direction[0], t.direction[2])) for t in data.transmits if t.direction is not None]
    return {
        "kind": "channel_data",
        "signal": "IQ" if data.is_iq else "RF",
        "dtype": str(data.samples.dtype),
        "n_frames": data.n_frames,
        "n_tx": data.n_tx,
        "n_rx": data.n_rx,
        "n_samples": data.n_samples,
        "bytes": int(data.samples.nbytes),
        "sampling_frequency": data.sampling_frequency,
        "center_frequency": data.center_frequency or None,
        "demodulation_frequency": data.demodulation_frequency or None,
        "sound_speed": data.sound_speed,
        "start_time": [float(data.start_time.min()), float(data.start_time.max())],
        "end_time": data.end_time,
        "max_depth": data.max_depth,
        "frame_rate": data.frame_rate or None,
        "duration": data.n_frames / data.frame_rate if data.frame_rate else None,
        "transmits": dict(Counter(t.kind for t in data.transmits)),
        "angles": [min(angles), max(angles)] if angles else None,
        "probe": {
            "kind": probe.kind,
            "name": probe.name,
            "n_elements": probe.n_elements,
            "pitch": probe.pitch,
            "aperture": probe.aperture,
            "width": probe.width,
            "height": probe.height,
            "center_frequency": probe.center_frequency or None,
            "bandwidth": probe.bandwidth or None,
        },
    }


def _grid(grid: Any) -> dict[str, Any]:
    if isinstance(grid, SectorGrid):
        ends = {n: [float(getattr(grid, n)[0]), float(getattr(grid, n)[-1])] for n in ("ranges", "angles")}
        return {"kind": "sector", "shape": list(grid.shape), **ends, "apex": list(grid.apex)}
    return {
        "kind": "cartesian",
        "shape": list(grid.shape),
        "spacing": list(grid.spacing),
        "extent": [list(e) for e in grid.extent],
    }
