"""Float64 ray-Born operator: every wave, pair and point written out, from fields of rays."""

import numpy as np


def straight(fields, points):
    """Unit vectors (n_points, n_sources, 2) from sources to points, and distances."""
    d = points[:, None, [0, 2]] - fields.sources[None, :, [0, 2]]
    r = np.linalg.norm(d, axis=2)
    return d / r[..., None], r


def turned(vectors, angle):
    """Turn by an angle from x towards z."""
    if angle is None:
        return vectors
    angle = np.asarray(angle, float)
    x, z = vectors[..., 0], vectors[..., 1]
    return np.stack([x * np.cos(angle) - z * np.sin(angle), x * np.sin(angle) + z * np.cos(angle)], axis=-1)


def amplitude_and_phase(fields, frequency, *, exponent=None, delay=0.0, points=None):
    """Amplitude without absorption, absorption [Np] and phase of every Green's function, (n_points, n_sources)."""
    points = fields.points if points is None else points
    omega = 2 * np.pi * frequency
    c = fields.reference_sound_speed
    _, r = straight(fields, points)
    amplitude = 0.25 * np.sqrt(2 * c * np.asarray(fields.focusing, float) / (np.pi * omega * r))
    phase = omega * (r / c + np.asarray(fields.excess, float)) + 0.25 * np.pi
    if fields.caustics is not None:
        phase = phase - 0.5 * np.pi * fields.caustics
    lost = np.zeros_like(r)
    if fields.absorption is not None:
        lost = np.asarray(fields.absorption, float) * (frequency / 1e6) ** exponent
        phase = phase + omega * delay * fields.absorption
    return amplitude, lost, phase


def greens(fields, frequency, **options):
    """Green's functions (n_points, n_sources) complex128."""
    amplitude, lost, phase = amplitude_and_phase(fields, frequency, **options)
    return amplitude * np.exp(1j * phase - lost)


def matrix(fields_e, fields_r, frequency, cell_area, **options):
    """The operator (n_tx, n_rx, n_points) complex128."""
    omega = 2 * np.pi * frequency
    g_e, g_r = (greens(f, frequency, **options) for f in (fields_e, fields_r))
    return omega**2 * cell_area * np.einsum("pe,pr->erp", g_e, g_r)


def inverse_waves(fields, frequency, pitch, normals, largest_gain=np.inf, **options):
    """dtheta / a exp(-i Psi), (n_points, n_sources), formed as it is written."""
    amplitude, lost, phase = amplitude_and_phase(fields, frequency, **options)
    directions, r = straight(fields, fields.points)
    cosine = 1.0
    if normals is not None:
        cosine = np.abs((turned(directions, fields.take_off) * normals[None, :, [0, 2]]).sum(axis=-1))
    measure = pitch * cosine * np.asarray(fields.focusing, float) / r
    gain = np.minimum(np.exp(lost), largest_gain)
    return measure / np.where(amplitude > 0, amplitude, np.inf) * gain * np.exp(-1j * phase)


def backproject(fields_e, fields_r, frequency, residual, weighting, pitches, normals, local_speed, **options):
    """Equation of the step without a Hessian, pair by pair, without the frequencies' spacing."""
    omega = 2 * np.pi * frequency
    both = (fields_e, fields_r)
    b = [inverse_waves(f, frequency, p, n, **options) for f, p, n in zip(both, pitches, normals, strict=True)]
    t = [turned(straight(f, f.points)[0], f.arrival) for f in both]
    total = np.zeros(len(fields_e.points), complex)
    for e in range(len(fields_e.sources)):
        for r in range(len(fields_r.sources)):
            te, tr = t[0][:, e], t[1][:, r]
            weight = {"uniform": 2.0, "rwave": ((te - tr) ** 2).sum(1), "beylkin": ((te + tr) ** 2).sum(1)}[weighting]
            total += weight * b[0][:, e] * b[1][:, r] * residual[e, r]
    return -total / ((2 * np.pi) ** 3 * omega * local_speed**2)
