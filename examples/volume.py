"""A volume from a matrix probe: simulate five scatterers, beamform with diverging waves, draw three slices.

python examples/volume.py volume_slices.png
"""

import sys

import numpy as np

import sonoray
from sonoray.beamforming.echoes import simulate_echoes
from sonoray.plotting import save_figure
from sonoray.plotting_volumes import show_slices


def main(picture="volume_slices.png"):
    """Simulate, beamform, draw."""
    probe = sonoray.Probe.matrix(24, 24, 0.3e-3, width=0.27e-3, center_frequency=2.5e6)
    sources = [(x, y, -5e-3) for x in (-2e-3, 0.0, 2e-3) for y in (-2e-3, 0.0, 2e-3)]
    waves = [sonoray.Transmit.diverging(s) for s in sources]
    scatterers = np.array([(0, 0, 22), (5, 0, 22), (-3, 0, 28), (0, 4, 17), (0, -5, 26)]) * 1e-3
    data = simulate_echoes(
        1540.0, probe, waves, scatterers, np.ones(5), sampling_frequency=6e6, duration=5e-5, bandwidth=0.6
    )
    grid = sonoray.Grid.from_extent(x=(-8e-3, 8e-3), y=(-8e-3, 8e-3), z=(12e-3, 32e-3), spacing=0.25e-3)
    arrive = sonoray.arrivals(waves, probe, grid, 1540.0)
    volume = sonoray.Beamformer(arrive, data, f_number=1.0, window="hann")(data)
    db = sonoray.log_compress(sonoray.envelope(volume[0]), dynamic_range=50)
    axes = show_slices(db, grid, at=scatterers[0], dynamic_range=50, title="24 x 24 elements, 9 diverging waves")
    save_figure(picture, axes[0])


if __name__ == "__main__":
    main(*sys.argv[1:])
