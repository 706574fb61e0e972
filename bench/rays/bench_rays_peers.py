"""Rays against r-Wave under Octave or MATLAB, travel times against ttcrpy and pykonal, in interleaved rounds.

    python -m bench.rays.bench_rays_peers --rwave PATH --peer-python peers/bin/python

Every contender runs on one thread and is measured by its own CPU time. What is not installed is named and left out; see
bench/RAYS.md.
"""

import json
import os
import sys
from pathlib import Path

from bench import harness
from bench.peers.rwave_octave import RWave
from bench.peers.worker import UnavailableError
from bench.rays import peer_cases

PARTS = ("trace", "link", "times", "pick")
UNITS = {"trace": "rays", "link": "pairs", "times": "sources", "pick": "traces"}
FACTS = {
    "steps": "steps / CPU-s",
    "length_error": "length error %",
    "traces": "traces per pair",
    "failed": "failed pairs",
    "miss_um": "largest miss [um]",
    "same_ns": "from ours, same spline [ns]",
    "same_mrad": "same [mrad]",
    "ours_ns": "from ours [ns]",
    "all_pairs": "all pairs [CPU-s]",
    "rms_ns": "rms [ns]",
    "max_ns": "largest [ns]",
    "error": "mean ± s.d.",
    "note": "",
}


def fact(result, name):
    """One cell of the table."""
    value = result.facts.get(name, "")
    if name == "steps" and value:
        return f"{value / result.cpu:,.0f}"
    if name == "all_pairs":
        return f"{256 * result.cpu / result.work:,.3g}"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def table(part, results):
    """Markdown: rates per CPU second, their band, and how many times ours is faster than each peer on the same case."""
    shown = [n for n in FACTS if any(n in r.facts for r in results) or (part == "times" and n == "all_pairs")]
    head = ["case", "contender", f"{UNITS[part]} / CPU-s", "band", *(FACTS[n] for n in shown)]
    rows = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for r in results:
        low, high = r.rate_band()
        cells = [r.case, r.name, f"{r.rate:,.4g}", f"{low:,.4g} to {high:,.4g}", *(fact(r, n) for n in shown)]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def ratios(results):
    """Lines: our rate over each peer's with its band, for the same method if we have it, else for our fastest."""
    ours = [r for r in results if r.name.startswith("sonoray")]
    for peer in (r for r in results if r not in ours):
        same = [r for r in ours if r.name.split(" ")[1:] == peer.name.split(" ")[1:] != []]
        for mine in same or [max([r for r in ours if r.case == peer.case] or ours, key=lambda r: r.rate)]:
            low, high = mine.rate_band()[0] / peer.rate_band()[1], mine.rate_band()[1] / peer.rate_band()[0]
            says = "" if low > 1 or high < 1 else ": no result"
            times = f"{mine.rate / peer.rate:,.0f} x ({low:,.0f} to {high:,.0f}){says}"
            yield f"- {mine.name} ({mine.case}) / {peer.name}: {times}"


def parser():
    options = harness.options(__doc__)
    options.set_defaults(rounds=2, threads=[1])
    options.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    options.add_argument("--rwave", help="a checkout of r-Wave of your own; default SONORAY_RWAVE")
    options.add_argument("--interpreter", help="Octave or MATLAB; default SONORAY_OCTAVE or what is on the path")
    options.add_argument(
        "--peers", nargs="+", default=peer_cases.TIMES, help="for travel times: package or package:option"
    )
    options.add_argument(
        "--peer-python",
        default=os.environ.get("SONORAY_PEERS_PYTHON", sys.executable),
        help="interpreter with ttcrpy and pykonal; default SONORAY_PEERS_PYTHON or this one",
    )
    options.add_argument("--rays", type=int, default=101, help="traced through the fish-eye")
    options.add_argument("--copies", type=int, default=100, help="times as many rays in our second case")
    options.add_argument("--receivers", type=int, default=64, help="that r-Wave links: a divisor of 256")
    options.add_argument("--spacing", type=float, nargs="+", default=[1e-3, 5e-4], help="for travel times [m]")
    options.add_argument("--medium", nargs="+", default=["vsx", "gradient"], help="for travel times")
    return options


def measure(cases, rounds):
    """Rounds of one case, then the facts that its answers add."""
    found, finish = cases
    try:
        results = harness.measure(found, rounds, warm=0)
    finally:
        for action in finish:
            action()
    for contender, result in zip(found, results, strict=True):
        result.facts = contender.facts
    return results


def cases(part, args, rwave):
    """The cases of one part, made one after the other."""
    if part != "times":
        yield getattr(peer_cases, part)(args, rwave)
        return
    for kind in args.medium:
        for spacing in args.spacing:
            yield peer_cases.times(args, spacing, kind)


def main(argv=None):
    args = parser().parse_args(argv)
    os.environ["SONORAY_THREADS"] = "1"
    rwave = None
    try:
        rwave = RWave(args.rwave, args.interpreter)
    except UnavailableError as reason:
        print(f"left out r-wave: {reason}", flush=True)
    everything = []
    for part in args.parts:
        try:
            results = [r for case in cases(part, args, rwave) for r in measure(case, args.rounds)]
        except ImportError as missing:
            print(f"{part}: left out, {missing}", flush=True)
            continue
        print(f"\n### {part}\n\n{table(part, results)}\n\n" + "\n".join(ratios(results)), flush=True)
        everything += results
        if args.json:
            path = Path(args.json)
            harness.save(everything, path)
    print(json.dumps(harness.machine()))


if __name__ == "__main__":
    main()
