"""The picture of the README: one sound speed against eikonal-corrected delays, on the example that ships.

python examples/aberration.py OUT.png        (needs the extra `plot`)
"""

import sys

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import sonoray
from sonoray.plotting import show_bmode, show_medium

data, medium = sonoray.load_example()
iq = sonoray.demodulate(data)
grid = sonoray.Grid.from_extent(x=(-9e-3, 9e-3), z=(10e-3, 30e-3), spacing=5e-5)

figure = Figure(figsize=(11, 4.2), layout="constrained")
FigureCanvasAgg(figure)
left, middle, right = figure.subplots(1, 3)
show_medium(medium, ax=left, title="true sound speed")
for axes, speed, title in ((middle, 1540.0, "one speed, 1540 m/s"), (right, medium, "eikonal delays")):
    arrive = sonoray.arrivals(iq.transmits, iq.probe, grid, speed, sequence_sound_speed=iq.sound_speed)
    image = sonoray.Beamformer(arrive, iq, f_number=1.0, window="hann")(iq)
    level = sonoray.log_compress(sonoray.envelope(image[0]), dynamic_range=50)
    show_bmode(level, grid, ax=axes, dynamic_range=50, title=title, colorbar=False)
figure.savefig(sys.argv[1], dpi=80)
