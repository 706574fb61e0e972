"""Ultrasound imaging with the right speed of sound."""

from . import datasets
from ._arrays import to_device, to_host
from ._backends import devices
from .acquisition.channel_data import ChannelData
from .acquisition.encoding import decode, encode
from .acquisition.flow_images import FlowImages, VectorVelocity
from .acquisition.probes import Probe
from .acquisition.scan_lines import ScanLines
from .acquisition.signals import band_pass, demodulate, matched_filter, remodulate, resample, time_gain_compensation
from .acquisition.transmits import (
    Transmit,
    focused_lines,
    full_synthetic_aperture,
    hadamard_transmits,
    orthogonal_plane_waves,
    plane_waves,
)
from .assets import (
    load_example,
    load_example_targets,
    load_focus_example,
    load_focus_example_targets,
    load_ring_example,
    load_sound_speed_network,
)
from .autofocus.focus_check import Focus, FocusCheck
from .autofocus.global_speed import GlobalSpeed, estimate_sound_speed
from .autofocus.mapping import AutofocusResult, map_sound_speed
from .autofocus.multistatic import multistatic_frame
from .autofocus.network import SoundSpeedNetwork
from .autofocus.plan import Autofocus
from .beamforming.adaptive import AdaptiveBeamformer
from .beamforming.adaptive_methods import adaptive_method
from .beamforming.arrivals import Arrivals, arrivals
from .beamforming.bmode import reconstruct_bmode
from .beamforming.das import Beamformer, Sampling
from .beamforming.default_grids import default_grid
from .beamforming.direct_wave import DirectWave, measure_direct_wave, remove_direct_wave
from .beamforming.echoes import simulate_echoes
from .beamforming.flow import gate_samples, reconstruct_doppler
from .beamforming.presets import ImagingPreset, imaging_preset
from .beamforming.receive_aperture import orthogonal_receivers
from .errors import ArgumentError, DeviceError, DownloadError, Error, FormatError, MissingExtraError
from .imaging.compounding import coherence_factor, compound_coherent, compound_incoherent
from .imaging.dealiasing import displacement_velocity, dual_rate_velocity, staggered_velocity, unwrap_velocity
from .imaging.detection import depth_gain, envelope, log_compress, to_uint8
from .imaging.doppler import (
    DopplerImage,
    doppler_bandwidth,
    doppler_image,
    doppler_power,
    doppler_variance,
    doppler_velocity,
    nyquist_velocity,
)
from .imaging.eigen_filters import EigenFilter, HankelFilter
from .imaging.localization import localization_error, localize_points
from .imaging.metrics import (
    cnr,
    contrast,
    fwhm,
    gcnr,
    lag_one_coherence,
    peak_sidelobe_level,
    sharpness,
    speckle_size,
    speckle_snr,
)
from .imaging.scan_conversion import covering_grid, scan_convert, scan_convert_lines
from .imaging.slices import orthogonal_slices, slice_sheet
from .imaging.spectral_doppler import Sonogram, SpectralTraces, doppler_audio, sonogram, spectral_traces
from .imaging.svd_filters import SvdFilter
from .imaging.vector_doppler import vector_velocity
from .imaging.wall_filters import FirFilter, IirFilter, PolynomialFilter, apply_wall_filter, wall_filter_response
from .inversion.autofocus import AutofocusReconstruction, reconstruct_autofocus
from .inversion.autofocus_settings import AutofocusSettings
from .inversion.born import BornOperator
from .inversion.born_settings import RayBornSettings
from .inversion.evaluation import sound_speed_errors
from .inversion.finite_frequency import FiniteFrequencyOperator
from .inversion.focus_criteria import FocusCriterion
from .inversion.gains import Gains, fit_gains
from .inversion.matching import match_first_arrivals
from .inversion.outliers import reject_outliers
from .inversion.pairs import pairs_by_distance, pairs_by_open_angle
from .inversion.picking import pick_first_arrivals, pulse_onset
from .inversion.picks import Picks, PickStatus
from .inversion.ray_born import RayBornReconstruction, reconstruct_ray_born
from .inversion.settings import TravelTimeSettings
from .inversion.source_spectrum import SourceSpectrum, calibrated_spectra
from .inversion.spectra import ArrivalWindow, Spectra, spectra
from .inversion.stacks import Slice, SliceResult, StackSummary, find_slices, reconstruct_stack
from .inversion.tomography import TravelTimeOperator
from .inversion.travel_time import TravelTimeReconstruction, reconstruct_travel_time
from .inversion.travel_times import pick_travel_times
from .inversion.water_speed import measure_water_speed
from .io import (
    read,
    read_dicom,
    read_medium,
    read_scatterers,
    summary,
    write,
    write_dicom,
    write_parametric_map,
    write_png,
    write_secondary_capture,
    write_wav,
)
from .learning.models import ModelSpec
from .learning.runtime import OnnxModel
from .media.grids import Grid, SectorGrid
from .media.interpolation import Interpolator
from .media.medium import Medium, water_sound_speed
from .rays.eikonal import EikonalSolver
from .rays.greens import GreensFields, GreensFunction
from .rays.linked import LaterArrivals, LinkedRays, PairStatus
from .rays.linking import RayLinker
from .rays.paths import Paths
from .rays.point_times import PointTimes
from .rays.surfaces import ConvexPolygon, GridBox, HalfSpaces, Plane, Ring, Sphere
from .rays.tracing import Rays, RayStatus, RayTracer

__version__ = "0.1.0"

__all__ = [
    "AdaptiveBeamformer",
    "ArgumentError",
    "ArrivalWindow",
    "Arrivals",
    "Autofocus",
    "AutofocusReconstruction",
    "AutofocusResult",
    "AutofocusSettings",
    "Beamformer",
    "BornOperator",
    "ChannelData",
    "ConvexPolygon",
    "DeviceError",
    "DirectWave",
    "DopplerImage",
    "DownloadError",
    "EigenFilter",
    "EikonalSolver",
    "Error",
    "FiniteFrequencyOperator",
    "FirFilter",
    "FlowImages",
    "Focus",
    "FocusCheck",
    "FocusCriterion",
    "FormatError",
    "Gains",
    "GlobalSpeed",
    "GreensFields",
    "GreensFunction",
    "Grid",
    "GridBox",
    "HalfSpaces",
    "HankelFilter",
    "IirFilter",
    "ImagingPreset",
    "Interpolator",
    "LaterArrivals",
    "LinkedRays",
    "Medium",
    "MissingExtraError",
    "ModelSpec",
    "OnnxModel",
    "PairStatus",
    "Paths",
    "PickStatus",
    "Picks",
    "Plane",
    "PointTimes",
    "PolynomialFilter",
    "Probe",
    "RayBornReconstruction",
    "RayBornSettings",
    "RayLinker",
    "RayStatus",
    "RayTracer",
    "Rays",
    "Ring",
    "Sampling",
    "ScanLines",
    "SectorGrid",
    "Slice",
    "SliceResult",
    "Sonogram",
    "SoundSpeedNetwork",
    "SourceSpectrum",
    "Spectra",
    "SpectralTraces",
    "Sphere",
    "StackSummary",
    "SvdFilter",
    "Transmit",
    "TravelTimeOperator",
    "TravelTimeReconstruction",
    "TravelTimeSettings",
    "VectorVelocity",
    "adaptive_method",
    "apply_wall_filter",
    "arrivals",
    "band_pass",
    "calibrated_spectra",
    "cnr",
    "coherence_factor",
    "compound_coherent",
    "compound_incoherent",
    "contrast",
    "covering_grid",
    "datasets",
    "decode",
    "default_grid",
    "demodulate",
    "depth_gain",
    "devices",
    "displacement_velocity",
    "doppler_audio",
    "doppler_bandwidth",
    "doppler_image",
    "doppler_power",
    "doppler_variance",
    "doppler_velocity",
    "dual_rate_velocity",
    "encode",
    "envelope",
    "estimate_sound_speed",
    "find_slices",
    "fit_gains",
    "focused_lines",
    "full_synthetic_aperture",
    "fwhm",
    "gate_samples",
    "gcnr",
    "hadamard_transmits",
    "imaging_preset",
    "lag_one_coherence",
    "load_example",
    "load_example_targets",
    "load_focus_example",
    "load_focus_example_targets",
    "load_ring_example",
    "load_sound_speed_network",
    "localization_error",
    "localize_points",
    "log_compress",
    "map_sound_speed",
    "match_first_arrivals",
    "matched_filter",
    "measure_direct_wave",
    "measure_water_speed",
    "multistatic_frame",
    "nyquist_velocity",
    "orthogonal_plane_waves",
    "orthogonal_receivers",
    "orthogonal_slices",
    "pairs_by_distance",
    "pairs_by_open_angle",
    "peak_sidelobe_level",
    "pick_first_arrivals",
    "pick_travel_times",
    "plane_waves",
    "pulse_onset",
    "read",
    "read_dicom",
    "read_medium",
    "read_scatterers",
    "reconstruct_autofocus",
    "reconstruct_bmode",
    "reconstruct_doppler",
    "reconstruct_ray_born",
    "reconstruct_stack",
    "reconstruct_travel_time",
    "reject_outliers",
    "remodulate",
    "remove_direct_wave",
    "resample",
    "scan_convert",
    "scan_convert_lines",
    "sharpness",
    "simulate_echoes",
    "slice_sheet",
    "sonogram",
    "sound_speed_errors",
    "speckle_size",
    "speckle_snr",
    "spectra",
    "spectral_traces",
    "staggered_velocity",
    "summary",
    "time_gain_compensation",
    "to_device",
    "to_host",
    "to_uint8",
    "unwrap_velocity",
    "vector_velocity",
    "wall_filter_response",
    "water_sound_speed",
    "write",
    "write_dicom",
    "write_parametric_map",
    "write_png",
    "write_secondary_capture",
    "write_wav",
]
