"""Real recordings: a rotating disk whose velocity must be linear, and another program's scan conversion."""

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat
from scipy.ndimage import uniform_filter

import sonoray
from sonoray import ChannelData, Grid, Probe, SectorGrid, Transmit


def delay_and_sum(iq, points, receive_angle=0.0, f_number=1.5):
    """Plane wave at 0 degrees, linear interpolation; (n_frames, n_points)."""
    image = np.zeros((iq.n_frames, len(points)), "c8")
    for element, position in enumerate(iq.probe.positions):
        arrival = (points[:, 2] + np.linalg.norm(points - position, axis=1)) / iq.sound_speed
        k = (arrival - iq.start_time[0]) * iq.sampling_frequency
        i = np.clip(k.astype(int), 0, iq.n_samples - 2)
        across = points[:, 0] - position[0] - points[:, 2] * np.tan(receive_angle)
        seen = (np.abs(across) <= points[:, 2] / (2 * f_number)) & (k < iq.n_samples - 1)
        trace = iq.samples[:, 0, element]
        value = (1 - (k - i)) * trace[:, i] + (k - i) * trace[:, i + 1]
        image += seen * value * np.exp(2j * np.pi * iq.demodulation_frequency * arrival)
    return image


def test_rotating_disk_from_undersampled_rf(recording):
    """RF of 5 MHz sampled at 6.67 MHz -> I/Q -> images -> velocity: a rigid rotation, v linear in x."""
    rf = loadmat(recording("must-rotating-disk/PWI_disk.mat"))["RF"].transpose(2, 1, 0)[:, None]
    probe = Probe.linear(128, 0.298e-3, center_frequency=5e6)
    data = ChannelData(rf, probe, Transmit.plane(), 20e6 / 3, start_time=9.95e-6, sound_speed=1480, frame_rate=10e3)
    iq = sonoray.demodulate(data)
    grid = Grid.from_extent(x=(-8e-3, 7e-3), z=(19e-3, 26e-3), spacing=2.5e-4)  # inside the disk
    image = delay_and_sum(iq, grid.points().reshape(-1, 3)).reshape(-1, *grid.shape)
    velocity = sonoray.doppler_velocity(image, 5e6, data.frame_rate, data.sound_speed, average=5)
    profile = velocity.mean(axis=1)
    slope, offset = np.polyfit(grid.x, profile, 1)
    # The picture's disk spans x = -10.5 to 9 mm, so its axis is near x = -0.7 mm; a few per cent are non-linear.
    assert np.corrcoef(grid.x, profile)[0, 1] < -0.995
    assert abs(-offset / slope + 0.7e-3) < 1e-3
    assert np.std(velocity - slope * grid.x[:, None] - offset) < 0.05 * np.ptp(profile)
    # Along a rotating disk's depth the axial velocity does not change.
    assert abs(np.polyfit(grid.z, velocity.mean(axis=0), 1)[0]) < 0.1 * abs(slope)

    whole = Grid.from_extent(x=(-12.5e-3, 12.5e-3), z=(10e-3, 35e-3), spacing=2e-4)
    theirs = loadmat(recording("must-rotating-disk/bmode_PWI_disk.mat"))["I"][::2, ::2, 0].T.astype("f8")
    first = delay_and_sum(iq.select(frames=0), whole.points().reshape(-1, 3)).reshape(whole.shape)
    ours = sonoray.log_compress(sonoray.envelope(first), 30)
    # The authors' aperture and compression are not known; a transposed picture gives 0.65.
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.85


def disk(recording, spacing):
    """I/Q images of the rotating disk, and points that lie on it."""
    data = sonoray.read(recording("must-rotating-disk/PWI_disk.mat"))
    grid = Grid.from_extent(x=(-10e-3, 9e-3), z=(13e-3, 32e-3), spacing=spacing)
    on_disk = np.hypot(grid.x[:, None] + 0.7e-3, grid.z - 22.5e-3) < 8.5e-3
    return data, grid, sonoray.reconstruct_bmode(data, grid=grid)[0], on_disk


def linear_share(velocity, grid, on_disk):
    """Slope [1/s] along x on the disk, and the share of the variance that it explains."""
    x, v = np.broadcast_to(grid.x[:, None], grid.shape)[on_disk], velocity[on_disk]
    slope, offset = np.polyfit(x, v, 1)
    return slope, 1 - (v - slope * x - offset).var() / v.var()


def test_skipped_frames_of_the_disk_alias_and_are_resolved_three_ways(recording):
    """Up to 0.535 m/s; every third frame's Nyquist velocity is 0.247 m/s, every fourth's 0.185 m/s."""
    data, grid, frames, on_disk = disk(recording, (2e-4, 7e-5))
    f0, rate, c = data.center_frequency, data.frame_rate, data.sound_speed
    slope, share = linear_share(sonoray.doppler_velocity(frames, f0, rate, c, average=(5, 13)), grid, on_disk)
    assert share > 0.998

    def skipped(k):
        found = sonoray.doppler_velocity(frames[::k], f0, rate / k, c, average=(5, 13))
        return found, sonoray.nyquist_velocity(f0, rate / k, c)

    third, fourth = skipped(3), skipped(4)
    assert linear_share(third[0], grid, on_disk)[1] < 0.1
    turns = np.cumsum([0, 3, 4, 3, 4, 3, 4, 3, 4, 3])
    resolved = {
        "dual": sonoray.dual_rate_velocity(third[0], fourth[0], third[1], fourth[1]),
        "staggered": sonoray.staggered_velocity(frames[turns], f0, (3 / rate, 4 / rate), c, average=(5, 13)),
        "unwrapped": sonoray.unwrap_velocity(third[0], third[1], visible=on_disk),
        "displacement": sonoray.displacement_velocity(
            frames[::3], f0, rate / 3, grid.spacing[1], c, average=(5, 13), check=(15, 41)
        ),
    }
    for name, velocity in resolved.items():
        found = linear_share(velocity, grid, on_disk)
        assert abs(found[0] / slope - 1) < 0.015, name
        assert found[1] > (0.99 if name == "displacement" else 0.997), name


def test_receive_directions_see_the_disk_turn(recording):
    """Vector velocity of a rigid rotation, from one transmit: v = (w (z - z0), -w (x - x0))."""
    iq = sonoray.demodulate(sonoray.read(recording("must-rotating-disk/PWI_disk.mat")))
    grid = Grid.from_extent(x=(-6e-3, 5e-3), z=(18e-3, 27e-3), spacing=2.5e-4)
    angles = np.deg2rad([-10.0, 0.0, 10.0])
    seen = []
    for angle in angles:
        # Wide apertures would look less sideways than their middle does: elements favour what lies ahead.
        image = delay_and_sum(iq, grid.points().reshape(-1, 3), angle, 4.0).reshape(-1, *grid.shape)
        seen.append(sonoray.doppler_velocity(image, 5e6, iq.frame_rate, iq.sound_speed, average=7))
    found = sonoray.vector_velocity(np.stack(seen), np.zeros(3), angles)
    across, along = found.velocity
    rate, offset = np.polyfit(grid.x, along.mean(axis=1), 1)
    turn, start = np.polyfit(grid.z, across.mean(axis=0), 1)
    assert rate == pytest.approx(61, rel=0.05)  # the velocity along the beam falls by 61 per second along x
    assert turn == pytest.approx(
        -rate, rel=0.12
    )  # elements favour what lies ahead of them: the true angles are smaller
    assert abs(-offset / rate + 0.7e-3) < 0.5e-3
    assert abs(-start / turn - 22.5e-3) < 1e-3
    # Errors across are those along times the condition number.
    model = np.stack([turn * grid.z[None, :] + start + 0 * across, rate * grid.x[:, None] + offset + 0 * along])
    assert 10 < np.median(found.condition) < 15
    assert (found.velocity - model)[0].std() < 0.1
    assert (found.velocity - model)[1].std() < 0.015


def carotid(recording):
    """Colour-Doppler I/Q (12 frames, 104 lines, 352 samples) of a carotid, and where the scanner painted flow."""
    lines = sonoray.read(recording("clarius-carotid-doppler/carotid_iq.raw"))
    screen = np.asarray(Image.open(recording("clarius-carotid-doppler/carotid.jpeg")).convert("RGB")).astype(float)
    red, green, blue = np.moveaxis(screen, -1, 0)
    painted = (red - green > 40) & (red - blue > 40)
    # Lines start at elements 30 to 133, 0.2 mm apart, and lean by 15 degrees; 14.2 pixels are a millimetre. The first
    # sample lies 108 / 15 MHz after the transmit, of which 0.9 mm (fitted, the source does not say) is the pulse.
    reach = (108 + np.arange(352)) / 15e6 * 1540 / 2 - 0.9e-3
    x = (30.5 + np.arange(104))[:, None] * 0.2e-3 + reach * np.sin(np.deg2rad(15))
    z = np.broadcast_to(reach * np.cos(np.deg2rad(15)), x.shape)
    there = painted[np.round(187 + z * 14200).astype(int), np.round(x * 14200).astype(int)]
    return lines.samples[0], there


def test_the_carotid_is_filled_as_the_scanner_filled_it(recording):
    """One sign inside the lumen, nothing outside; the scanner's own picture is what is compared with."""
    iq, painted = carotid(recording)
    f0, rate = 5e6, 5000.0  # the rate that the scanner's scale of 38.5 cm/s stands for
    limit = sonoray.nyquist_velocity(f0, rate)
    filters = {
        "polynomial": (2, 0.90),
        "fir": (sonoray.FirFilter(0.3, 4), 0.92),
        "iir": (sonoray.IirFilter(0.1), 0.92),
        "svd": (sonoray.SvdFilter(), 0.87),
        "similarity": (sonoray.SvdFilter("similarity"), 0.87),
        "hankel": (sonoray.HankelFilter(), 0.87),
    }
    for name, (wall_filter, agreement) in filters.items():
        velocity = sonoray.doppler_velocity(iq, f0, rate, wall_filter=wall_filter, average=(5, 15))
        power = sonoray.doppler_power(iq, wall_filter=wall_filter, average=(5, 15))
        flow = power > 4 * np.percentile(power, 20)  # 6 dB above the noise, which most of the box shows
        dice = 2 * (flow & painted).sum() / (flow.sum() + painted.sum())
        assert dice > agreement, name
        assert flow[painted].mean() > 0.95, name
        assert (velocity[flow & painted] > 0).all(), name
        assert 0.28 < np.median(velocity[painted]) / limit < 0.45, name
    unfiltered = sonoray.doppler_velocity(iq, f0, rate, average=(5, 15))
    assert np.median(np.abs(unfiltered[painted])) < 0.15 * limit  # echoes of the wall rule


def meta_image(path):
    """The uncompressed frames of an .mha file, (n_frames, rows, columns) uint8."""
    content = path.read_bytes()
    start = content.index(b"\n", content.index(b"ElementDataFile = LOCAL")) + 1
    fields = dict(line.split(" = ", 1) for line in content[:start].decode("latin1").splitlines() if " = " in line)
    shape = [int(n) for n in fields["DimSize"].split()][::-1]
    return np.frombuffer(content, np.uint8, int(np.prod(shape)), start).reshape(shape)


def test_curved_array_agrees_with_another_programs_picture(recording):
    """One sector (5 numbers, fitted: the source does not state them) must place every structure at once.

    Grey levels differ (other compression), so the correlation of the two pictures is what can be compared.
    """
    folder = "plus-ultrasonix-curvilinear/UltrasonixCurvilinear"
    lines = meta_image(recording(folder + "BrightnessData.igs.mha"))[0][::-1].astype("f4")
    reference = meta_image(recording(folder + "ScanConvertedDataGroundTruth.igs.mha"))[0][::3, ::3].astype("f8")
    pixel = 1.5e-4
    grid = Grid((274, 206), 3 * pixel, (-408.7 * pixel, -28.4 * pixel))

    def agreement(first=61.0, last=534.6, half_angle=1.297):
        sector = SectorGrid(np.linspace(first, last, 3640) * pixel, np.linspace(-half_angle, half_angle, len(lines)))
        image = sonoray.scan_convert(uniform_filter(lines, (1, 9)), sector, grid, fill=0).T
        bright = np.clip(image - 80, 0, None) ** 1.5
        return np.corrcoef(bright.ravel(), reference.ravel())[0, 1]

    assert agreement() > 0.945
    assert max(agreement(first=70), agreement(last=545), agreement(half_angle=1.25)) < 0.92
