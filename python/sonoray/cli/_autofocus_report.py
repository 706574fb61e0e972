"""The report of sonoray autofocus: one HTML file with its pictures inside."""

import html
from pathlib import Path
from typing import Any

import sonoray
from sonoray.autofocus.mapping import AutofocusResult
from sonoray.demo.correction import picture
from sonoray.demo.report import Case, page, section

_NAMES = {
    "map": "the map found",
    "start": "the map it began with",
    "global": "best single speed",
    "nominal": "1540 m/s",
}


def report(
    result: AutofocusResult,
    images: dict[str, Any],
    grid: Any,
    figures: dict[str, Any],
    truth: sonoray.Medium | None,
    dynamic_range: float,
) -> str:
    """HTML of one run."""
    maps = {"after": result.medium} if result.accepted else {}
    if result.found is not result.medium:
        maps["found, not used"] = result.found
    if truth is not None:
        maps["true map"] = truth
    state = "The map is used" if result.accepted else "The map found is not used"
    state = "No map" if result.found is result.medium and not result.accepted else state
    speed = result.global_speed
    single = "none could be found" if speed is None else f"{speed.sound_speed:.0f} ± {speed.uncertainty:.0f} m/s"
    mean = f"Mean of the region {figures['mean_sound_speed']:.0f} m/s"
    text = f"{state}: {result.reason}. {mean}; best single speed: {single}."
    if "errors" in figures:
        errors = [figures["errors"][name] for name in ("mean_absolute_error", "bias")]
        text += f" Against the true map: mean absolute error {errors[0]:.1f} m/s, bias {errors[1]:+.1f} m/s."
    pictures = [picture(images, grid, maps, dynamic_range=dynamic_range)]
    first = Case("Before and after", text, pictures, _image_rows(figures))
    focus = Case("Coherence of echoes at points that the map was not made from", _COHERENCE, [], _focus_rows(result))
    seconds = figures["seconds"]
    steps = Case("Steps", "", [], [["step", "seconds"], *([name, f"{value:.1f}"] for name, value in seconds.items())])
    title = f"sonoray autofocus: {Path(figures['file']).name}, frame {figures['frame']}"
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in figures["warnings"])
    warned = f"<h2>Notes</h2><ul>{notes}</ul>" if notes else ""
    sections = [section(first), warned, section(focus)]
    if result.history:
        sections.append(section(Case("Optimisation", "", [], _history_rows(result))))
    return page(title, [*sections, section(steps)])


_COHERENCE = (
    "How alike the delayed echoes are over the aperture: the coherence factor is the mean of |sum| / sum of "
    "magnitudes, lag-one coherence the correlation of neighbours. Both rise with the right speed."
)


def _image_rows(figures: dict[str, Any]) -> list[list[str]]:
    rows = [["image", "sharpness", "lateral size of speckle"]]
    for name, merit in figures["images"].items():
        size = f"{1e3 * merit['speckle_size']:.2f} mm" if "speckle_size" in merit else "-"
        rows.append([name, f"{merit['sharpness']:.2f}", size])
    return rows


def _focus_rows(result: AutofocusResult) -> list[list[str]]:
    rows = [["travel times from", "coherence factor", "lag-one coherence"]]
    for name, focus in result.focus.items():
        rows.append([_NAMES[name], f"{focus.coherence_factor:.3f}", f"{focus.lag_one_coherence:.4f}"])
    return rows


def _history_rows(result: AutofocusResult) -> list[list[str]]:
    judged = "mean_absolute_error" in result.history[0]
    rows = [["iteration", "loss", "change", "mean", *(["error"] if judged else [])]]
    for entry in result.history:
        row = [str(entry["iteration"]), f"{entry['loss']:.3g}", f"{entry['change']:.1f} m/s"]
        row.append(f"{entry['mean_sound_speed']:.0f} m/s")
        rows.append([*row, *([f"{entry['mean_absolute_error']:.1f} m/s"] if judged else [])])
    return rows
