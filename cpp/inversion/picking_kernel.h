#pragma once
// First-arrival pickers of one trace. A trace is anything with `double operator()(int64 i)`: the host reads prepared
// samples, a CUDA thread prepares them on the fly. All indices are samples, `at` is fractional.
#include <cmath>
#include <cstdint>

#include "core/exec.h"
#include "inversion/picking.h"

namespace sonoray::picking {

/// What the raw trace says before anything is picked.
struct Summary {
  double mean = 0, largest = 0;  ///< largest |u - mean|
  bool dead = true;              ///< constant, or not finite
};

/// Sums of u and u^2 over [begin, end) in four chains, so that additions need not wait for each other.
template <class Trace>
SONORAY_HD inline void add_up(const Trace& u, std::int64_t begin, std::int64_t end, double& sum, double& squares) {
  double a[4] = {}, b[4] = {};
  std::int64_t i = begin;
  for (; i + 4 <= end; i += 4)
    for (int l = 0; l < 4; ++l) {
      const double v = u(i + l);
      a[l] += v, b[l] += v * v;
    }
  for (; i < end; ++i) a[0] += u(i), b[0] += u(i) * u(i);
  sum = (a[0] + a[1]) + (a[2] + a[3]);
  squares = (b[0] + b[1]) + (b[2] + b[3]);
}

template <class Raw>
SONORAY_HD inline Summary summarise(const Raw& raw, std::int64_t n) {
  Summary s;
  double sum, squares, low = raw(0), high = low;
  add_up(raw, 0, n, sum, squares);
  for (std::int64_t i = 1; i < n; ++i) {
    const double v = raw(i);
    low = v < low ? v : low;
    high = v > high ? v : high;
  }
  s.mean = sum / n;
  s.largest = high - s.mean > s.mean - low ? high - s.mean : s.mean - low;
  s.dead = !(squares - squares == 0) || !(high > low);  // NaN or infinity in any sample stays in the sum
  return s;
}

/// Tukey window over a record of n samples; `part` of it is tapered, half at either end.
SONORAY_HD inline double taper(std::int64_t i, std::int64_t n, double part) {
  const std::int64_t from_end = i < n - 1 - i ? i : n - 1 - i;
  const double width = 0.5 * part * (n - 1);
  return from_end < width ? 0.5 - 0.5 * cos(3.14159265358979323846 * from_end / width) : 1.0;
}

constexpr int hilbert_reach = 15;

/// Magnitude of the analytic signal; the Hilbert transform is a Hamming-windowed FIR of 31 taps.
template <class Trace>
SONORAY_HD inline double envelope(const Trace& u, std::int64_t i, std::int64_t n) {
  constexpr double pi = 3.14159265358979323846;
  double h = 0;
  for (int k = 1; k <= hilbert_reach; k += 2) {
    const double tap = 2 / (pi * k) * (0.54 + 0.46 * cos(pi * k / (hilbert_reach + 1)));
    h += tap * ((i - k >= 0 ? u(i - k) : 0.0) - (i + k < n ? u(i + k) : 0.0));
  }
  const double v = u(i);
  return sqrt(v * v + h * h);
}

template <class Trace>
SONORAY_HD inline double magnitude(const Trace& u, std::int64_t i, std::int64_t n, bool analytic) {
  return analytic ? envelope(u, i, n) : fabs(u(i));
}

/// Sum of u^2 over [begin, end) cut to the record, and how many samples that are.
template <class Trace>
SONORAY_HD inline double energy(const Trace& u, std::int64_t begin, std::int64_t end, std::int64_t n,
                                std::int64_t& count) {
  begin = begin < 0 ? 0 : begin;
  end = end > n ? n : end;
  count = end > begin ? end - begin : 0;
  double sum = 0;
  for (std::int64_t i = begin; i < end; ++i) sum += u(i) * u(i);
  return sum;
}

/// Mean of u^2 in `width` samples after i, over that in as many samples up to i.
template <class Trace>
SONORAY_HD inline double contrast(const Trace& u, std::int64_t i, std::int64_t before, std::int64_t after,
                                  std::int64_t n, double floor) {
  std::int64_t n0, n1;
  const double e0 = energy(u, i + 1 - before, i + 1, n, n0), e1 = energy(u, i + 1, i + 1 + after, n, n1);
  return ((n1 ? e1 / n1 : 0.0) + floor) / ((n0 ? e0 / n0 : 0.0) + floor);
}

/// The samples [left, right] in which the arrival is sought.
struct Search {
  std::int64_t left, right, crossing;
  double before;  ///< magnitude one sample before the crossing
  double level, at_crossing;
  bool found, cut;  ///< cut: the record ends inside the search, its ends are no arrival
};

/// The expected window, narrowed to `duration` before the first sample that exceeds `threshold` times its largest.
template <class Trace>
SONORAY_HD inline Search search_window(const Trace& u, std::int64_t n, const PickParams& p, double first, double last) {
  Search s{0, 0, 0, 0, 0, 0, false, false};
  if (!(last >= 0) || !(first <= n - 1)) return s;
  const std::int64_t i0 = first > 0 ? std::int64_t(ceil(first)) : 0;
  const std::int64_t i1 = last < n - 1 ? std::int64_t(floor(last)) : n - 1;
  if (i0 > i1) return s;
  double peak = 0;
  for (std::int64_t i = i0; i <= i1; ++i) {
    const double v = magnitude(u, i, n, p.analytic);
    peak = v > peak ? v : peak;
  }
  if (!(peak > 0)) return s;
  s.found = true;
  s.level = p.threshold * peak;
  s.crossing = i0;
  while (s.crossing < i1 && magnitude(u, s.crossing, n, p.analytic) <= s.level) ++s.crossing;
  s.at_crossing = magnitude(u, s.crossing, n, p.analytic);
  s.before = s.crossing > 0 ? magnitude(u, s.crossing - 1, n, p.analytic) : 0;
  s.right = p.threshold > 0 ? s.crossing : i1;
  s.left = p.threshold > 0 ? s.right - std::int64_t(p.duration + 0.5) : i0;
  s.cut = first < 0 || last > n - 1;
  return s;
}

/// Variance-based terms of the record split after sample i.
struct Split {
  double head1 = 0, head2 = 0, all1 = 0, all2 = 0;  ///< sums of u and u^2
  std::int64_t n = 0;
  double floor = 0;

  SONORAY_HD double aic(std::int64_t i) const {
    const double k = double(i + 1), rest = double(n) - k;
    const double tail1 = all1 - head1, tail2 = all2 - head2;
    const double v0 = (head2 - head1 * head1 / k) / (k - 1), v1 = (tail2 - tail1 * tail1 / rest) / (rest - 1);
    return k * log(v0 > floor ? v0 : floor) + (rest - 1) * log(v1 > floor ? v1 : floor);
  }
};

/// Top of a parabola through three values, relative to the middle one.
SONORAY_HD inline double vertex(double a, double b, double c) {
  const double bend = a - 2 * b + c;
  const double d = bend < 0 ? 0.5 * (a - c) / bend : 0;
  return d > 1 ? 1 : d < -1 ? -1 : d;
}

/// Modified AIC picker: argmin over the search window, then the Akaike-weighted mean around it.
template <class Trace>
SONORAY_HD inline Pick aic_pick(const Trace& u, std::int64_t n, const PickParams& p, const Search& s, double floor,
                                double& spread) {
  const std::int64_t left = s.left < 1 ? 1 : s.left, right = s.right > n - 3 ? n - 3 : s.right;
  if (left > right) return {0, 0, PickStatus::no_arrival};
  Split split;
  split.n = n;
  split.floor = floor;
  double start1, start2, tail1, tail2;
  add_up(u, 0, left, start1, start2);
  add_up(u, left, n, tail1, tail2);
  split.all1 = start1 + tail1, split.all2 = start2 + tail2;
  split.head1 = start1, split.head2 = start2;
  double least = 0, before = 0, previous = 0, after = 0;
  std::int64_t best = left;
  for (std::int64_t i = left; i <= right; ++i) {
    split.head1 += u(i), split.head2 += u(i) * u(i);
    const double a = split.aic(i);
    if (i == best + 1) after = a;
    if (i == left || a < least) least = a, best = i, before = previous;
    previous = a;
  }
  if ((best == left && s.left < left) || (best == right && s.right > right) || (best == left && left < right))
    return {0, 0, PickStatus::edge};
  const std::int64_t reach = std::int64_t(0.25 * p.duration);
  split.head1 = start1, split.head2 = start2;
  double sum = 0, first = 0, second = 0;
  for (std::int64_t i = left; i <= right && i <= best + reach; ++i) {
    split.head1 += u(i), split.head2 += u(i) * u(i);
    if (i < best - reach) continue;
    const double w = exp(-0.5 * (split.aic(i) - least)), d = double(i - best);
    sum += w, first += w * d, second += w * d * d;
  }
  first /= sum;
  const double variance = second / sum - first * first;
  spread = sqrt(variance > 0 ? variance : 0);
  const bool between = best > left && best < right;
  const double refined = p.parabolic && between ? vertex(-before, -least, -after) : first;
  return {double(best) + refined, 0, PickStatus::picked};
}

/// Modified energy ratio, log (|u| ratio)^3 at its largest.
template <class Trace>
SONORAY_HD inline Pick energy_ratio_pick(const Trace& u, std::int64_t n, const PickParams& p, const Search& s,
                                         double floor, double& spread) {
  const std::int64_t width = std::int64_t(p.long_window + 0.5);
  const std::int64_t left = s.left < 1 ? 1 : s.left;
  std::int64_t right = s.right + std::int64_t(0.5 * p.duration);
  right = right > n - 2 ? n - 2 : right;
  if (left > right) return {0, 0, PickStatus::no_arrival};
  // Running sums: of [i - width, i] and [i, i + width].
  std::int64_t unused;
  double before = energy(u, left - width, left + 1, n, unused), after = energy(u, left, left + width + 1, n, unused);
  double best = -1, low = 0, previous = -1, high = 0;
  std::int64_t at = left;
  bool next = false;
  for (std::int64_t i = left; i <= right; ++i) {
    const double cube = (fabs(u(i))) * (after + floor) / (before + floor);
    if (next) high = cube, next = false;
    if (cube > best) best = cube, low = previous, at = i, next = true;
    previous = cube;
    const double out = i - width >= 0 ? u(i - width) : 0, in = u(i + 1);
    before += in * in - out * out;
    before = before > 0 ? before : 0;
    const double ahead = i + width + 1 < n ? u(i + width + 1) : 0;
    after += ahead * ahead - u(i) * u(i);
    after = after > 0 ? after : 0;
  }
  if (at == left || at == right || !(best > 0)) return {0, 0, PickStatus::edge};
  const double tiny = 1e-6 * best;
  const double a = 3 * log(low > tiny ? low : tiny), b = 3 * log(best), c = 3 * log(high > tiny ? high : tiny);
  spread = 1 / sqrt(2 * b - a - c > 1e-3 ? 2 * b - a - c : 1e-3);
  return {double(at) + vertex(a, b, c), 0, PickStatus::picked};
}

/// First crossing of `ratio` times the largest short-over-long-term average, interpolated.
template <class Trace>
SONORAY_HD inline Pick sta_lta_pick(const Trace& u, std::int64_t n, const PickParams& p, const Search& s, double floor,
                                    double& spread) {
  const std::int64_t brief = std::int64_t(p.short_window + 0.5), lengthy = std::int64_t(p.long_window + 0.5);
  const std::int64_t left = s.left < 1 ? 1 : s.left, right = s.right > n - 2 ? n - 2 : s.right;
  if (left > right) return {0, 0, PickStatus::no_arrival};
  double largest = 0;
  for (std::int64_t i = left; i <= right; ++i) {
    const double r = contrast(u, i, lengthy, brief, n, floor);
    largest = r > largest ? r : largest;
  }
  double previous = 0;
  for (std::int64_t i = left; i <= right; ++i) {
    const double r = contrast(u, i, lengthy, brief, n, floor);
    if (r >= p.ratio * largest) {
      if (i == left) return {0, 0, PickStatus::edge};
      spread = 0.5;
      return {double(i) - 1 + (p.ratio * largest - previous) / (r - previous), 0, PickStatus::picked};
    }
    previous = r;
  }
  return {0, 0, PickStatus::edge};
}

/// First crossing of the threshold, interpolated.
SONORAY_HD inline Pick threshold_pick(const Search& s, double& spread) {
  if (s.crossing < 1 || s.before > s.level || s.at_crossing <= s.level) return {0, 0, PickStatus::edge};
  spread = 0.5;
  return {double(s.crossing) - (s.at_crossing - s.level) / (s.at_crossing - s.before), 0, PickStatus::picked};
}

/// One trace. `u` has no mean and is tapered; `largest` is its scale, `step` the smallest difference of its samples.
template <class Trace>
SONORAY_HD inline Pick pick_trace(const Trace& u, std::int64_t n, const PickParams& p, double first, double last,
                                  double largest, double step) {
  const Search s = search_window(u, n, p, first, last);
  if (!s.found) return {0, 0, PickStatus::no_arrival};
  // Without it, rounding and precursors of a record without noise would be taken for arrivals.
  const double rounding = step * step / 12, relative = p.silence * p.silence * largest * largest;
  const double floor = rounding > relative ? rounding : relative;
  double spread = 0;
  Pick pick = p.method == PickMethod::aic            ? aic_pick(u, n, p, s, floor, spread)
              : p.method == PickMethod::energy_ratio ? energy_ratio_pick(u, n, p, s, floor, spread)
              : p.method == PickMethod::sta_lta      ? sta_lta_pick(u, n, p, s, floor, spread)
                                                     : threshold_pick(s, spread);
  if (pick.status != PickStatus::picked) return pick;
  const std::int64_t width = std::int64_t(p.duration + 0.5);
  const double rise = contrast(u, std::int64_t(pick.at), width, width, n, floor);
  if (!(rise >= p.minimum_contrast)) return {0, 0, PickStatus::no_arrival};
  const double blur = spread / (0.125 * p.duration);
  pick.quality = rise > 1 ? (1 - 1 / sqrt(rise)) / (1 + blur * blur) : 0;
  return pick;
}

}  // namespace sonoray::picking
