"""Whether an installed wheel works where nothing but its dependencies is: no compiler, no driver, no sources.

Beamforms the example that ships through its map and checks that the points come out where they are. With
SONORAY_EXPECT_CUDA=1 the CUDA backend must be in the wheel, too, and say politely that there is no device.
"""

import importlib.util
import os
import subprocess
import sys

import numpy as np

import sonoray


def main():
    """Try it; an assertion says what is wrong."""
    data, medium = sonoray.load_example()
    grid = sonoray.Grid.from_extent(x=(-9e-3, 9e-3), z=(8e-3, 30e-3), spacing=2e-4)
    iq = sonoray.demodulate(data)
    arrive = sonoray.arrivals(iq.transmits, iq.probe, grid, medium, sequence_sound_speed=iq.sound_speed)
    image = sonoray.Beamformer(arrive, iq, f_number=1.5, window="hann")(iq)[0]
    points, _ = sonoray.load_example_targets()
    misses = sonoray.localization_error(sonoray.localize_points(sonoray.envelope(image), grid, points, 1e-3), points)
    assert np.mean(misses) < 1e-4, f"points {1e3 * np.mean(misses):.2f} mm off"
    has_cuda = importlib.util.find_spec("sonoray._cuda") is not None
    expected = os.environ.get("SONORAY_EXPECT_CUDA")
    assert expected in (None, "", str(int(has_cuda))), f"CUDA backend: expected {expected}, got {int(has_cuda)}"
    if sonoray.devices() == ["cpu"]:
        try:
            sonoray.Beamformer(arrive, iq, device="cuda")
        except sonoray.DeviceError as error:
            print(f"without a device: {error}")
        else:
            raise AssertionError("a plan on a device that is not there")
    subprocess.run([sys.executable, "-m", "sonoray.cli", "--version"], check=True)
    kind = "with" if has_cuda else "without"
    print(f"sonoray {sonoray.__version__} {kind} CUDA backend: points {1e3 * np.mean(misses):.3f} mm off")


if __name__ == "__main__":
    main()
