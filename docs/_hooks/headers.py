"""The reference of C and C++ from the headers' comments, without doxygen.

A declaration counts where a comment of ``///`` lines stands above it; fields and arguments carry theirs behind
(``///<``), so the code is shown as it stands. The headers of the C interface explain themselves from top to bottom and
are shown whole. Kernels, lanes and schedules (``*_kernel.h`` and the like) are not part of the
interface.
"""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
INTERNAL = re.compile(
    r"(_kernel|_lanes|_levels|_plan|_checks?|_work|_tile|_stage|_groups|_rows|_search|_starts|_sweep|_trace|_rays)\.h$"
)
WHOLE = ("cpp/capi/sonoray.h", "cpp/capi/sonoray.hpp")
SKIPPED = (
    "cpp/bindings/",
    "cpp/capi/",  # shown whole, below
    "cpp/core/lanes.h",
    "cpp/core/simd.h",
    "cpp/core/taps.h",
    "cpp/core/dispatch.h",
    "cpp/rays/schemes.h",
    "cpp/beamforming/transmit_times.h",  # this and the following are not exported: the C interface offers what they do
    "cpp/beamforming/wave_arrival.h",
    "cpp/imaging/display.h",
    "cpp/imaging/envelope.h",
)


def headers():
    """Return the public headers as paths in the repository."""
    found = sorted(
        path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("cpp/**/*.h"), *ROOT.glob("include/**/*.h*"))
    )
    return [path for path in found if not INTERNAL.search(path) and not path.startswith(SKIPPED)]


def _declaration(lines, start):
    """Lines of a declaration: until brackets are balanced and it ends with ; or }, a function's body left out."""
    depth, taken = 0, []
    for line in lines[start:]:
        if not line.strip() and not depth:
            break
        shown = line.replace("SONORAY_API ", "")  # what the library exports: not a reader's concern
        code = shown.split("//")[0]
        taken.append(shown)
        depth += sum(code.count(c) for c in "({[") - sum(code.count(c) for c in ")}]")
        if depth <= 0 and code.rstrip().endswith((";", "}")):
            break
    text = "\n".join(taken)
    function = re.match(r"((?:template.*\n)?(?!.*\b(?:struct|class|enum|union|namespace)\b)[^{;]*\))[^;{]*\{", text)
    return f"{function[1]};" if function else text


def entries(text):
    """Return pairs (comment, declaration) of a header's text."""
    lines, found, comment = text.splitlines(), [], []
    for number, line in enumerate(lines):
        if re.match(r"///(?!<)", line):
            comment.append(line[3:].removeprefix(" "))
        elif comment:
            if line.strip():
                found.append((comment, _declaration(lines, number)))
            comment = []
    return found


def _name(declaration):
    text = re.sub(r"\btemplate\s*<[^>]*>\s*", "", declaration)
    kind = re.search(r"\b(?:struct|class|enum(?: class)?|union)\s+(?:\w+\(.*?\)\s*)?(\w+)", text)
    call = re.search(r"(\w+)\s*\(", text)
    if kind and (not call or kind.start() < call.start()):
        return kind[1]
    last = re.findall(r"\w+", text.split("=")[0].split(";")[0])
    return call[1] if call else last[-1]


def _comment(lines):
    """Indented lines are formulas and stay as they are."""
    parts, block = [], []
    for line in [*lines, ""]:
        if line.startswith("  "):
            block.append(line)
            continue
        if block:
            parts.append("\n".join(["", "```text", *block, "```", ""]))
            block = []
        parts.append(re.sub(r"([*_<])", r"\\\1", line))
    return "\n".join(parts).strip()


def page():
    """Return the Markdown of all headers."""
    whole = [path for path in WHOLE if (ROOT / path).exists()]
    intro = "What is behind these declarations is in the sources; [architecture](../../ARCHITECTURE.md) says where."
    parts = ["# C and C++ headers", intro]
    for path in whole:
        parts += [f"## {Path(path).name}", f"```cpp\n{(ROOT / path).read_text().rstrip()}\n```"]
    for path in headers():
        found = entries((ROOT / path).read_text().replace("SONORAY_API ", ""))
        if found:
            parts.append(f"## {path.removeprefix('cpp/').removeprefix('include/')}")
        for comment, declaration in found:
            parts += [f"### {_name(declaration)}", _comment(comment), f"```cpp\n{declaration}\n```"]
    return "\n\n".join(parts) + "\n"


def on_files(files, config):
    """Add the page."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, "docs/reference/headers.md", content=page()))
    return files
