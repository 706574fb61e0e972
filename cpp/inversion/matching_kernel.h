#pragma once
// Matching of one trace u with one template w: first the largest correlation at whole samples, then least squares.
//
// The model is u(j) = a w(j - t) with unknown amplitude a and onset t. Its weight g stays with the trace while w moves
// (a window that moved with w would favour the lag at which noise and wave have least energy); after each step g
// follows the new onset. Gauss-Newton steps of (a, t), as in variable projection: the residual is taken at the best a.
#include <cmath>
#include <cstdint>

#include "core/exec.h"
#include "inversion/matching.h"
#include "inversion/picking.h"

namespace sonoray::matching {

SONORAY_HD inline double weight(const MatchWindow& g, double t) {
  constexpr double pi = 3.14159265358979323846;
  if (t < 0) return t <= -g.rise ? 0.0 : 0.5 + 0.5 * cos(pi * t / g.rise);
  if (t > g.flat) return t >= g.flat + g.fall ? 0.0 : 0.5 + 0.5 * cos(pi * (t - g.flat) / g.fall);
  return 1;
}

/// A template between its samples; zero outside.
struct Template {
  const float* w;
  std::int64_t n;
  double oversampling, lead;

  SONORAY_HD double value(double t, double& slope) const {
    const double x = (t + lead) * oversampling;
    const std::int64_t i = std::int64_t(floor(x));
    slope = 0;
    if (i < 1 || i > n - 3) return 0;
    const double f = x - double(i);
    slope = 0.5 * oversampling * ((1 - f) * (w[i + 1] - w[i - 1]) + f * (w[i + 2] - w[i]));
    return (1 - f) * w[i] + f * w[i + 1];
  }
};

/// The template times its weight at whole samples from its onset: tap i belongs to sample i - lead.
struct Taps {
  const float* w;
  std::int64_t n, lead;
};

/// Correlation of u with the weighted template whose onset is at whole sample k, zero beyond the record.
template <class Trace>
SONORAY_HD inline double correlate(const Trace& u, std::int64_t n, const Taps& taps, std::int64_t k) {
  const std::int64_t start = k - taps.lead;
  const std::int64_t from = start < 0 ? -start : 0, to = start + taps.n > n ? n - start : taps.n;
  double sum[4] = {};  // four chains, so that additions need not wait for each other
  std::int64_t i = from;
  for (; i + 4 <= to; i += 4)
    for (int l = 0; l < 4; ++l) sum[l] += u(start + i + l) * double(taps.w[i + l]);
  for (; i < to; ++i) sum[0] += u(start + i) * double(taps.w[i]);
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/// The largest correlation at whole samples in [k0, k1], or the first peak that reaches `earliest` of it; -1 if none
/// is positive.
template <class Trace>
SONORAY_HD inline std::int64_t coarse(const Trace& u, std::int64_t n, const Taps& taps, double earliest,
                                      std::int64_t k0, std::int64_t k1) {
  constexpr int most = 64;  // peaks that are remembered; later ones count only as the largest
  std::int64_t at[most], best = -1;
  double height[most], largest = 0, before = 0, here = 0;
  int peaks = 0;
  for (std::int64_t k = k0; k <= k1; ++k) {
    const double next = correlate(u, n, taps, k);
    if (k > k0 + 1 && peaks < most && here > 0 && here >= before && here > next)
      at[peaks] = k - 1, height[peaks++] = here;
    if (next > largest) largest = next, best = k;
    before = here, here = next;
  }
  for (int i = 0; i < peaks && at[i] < best; ++i)
    if (height[i] >= earliest * largest) return at[i];
  return best;
}

/// One Gauss-Newton step; returns its length, sets the correlation coefficient at t.
template <class Trace>
SONORAY_HD inline double step(const Trace& u, std::int64_t n, const Template& w, const MatchWindow& g, double t,
                              double& correlation) {
  const std::int64_t from = std::int64_t(ceil(t - g.rise)), to = std::int64_t(floor(t + g.flat + g.fall));
  double uu = 0, uw = 0, ww = 0, ud = 0, wd = 0, dd = 0;
  for (std::int64_t j = from < 0 ? 0 : from; j <= to && j < n; ++j) {
    double slope;
    const double g2 = weight(g, double(j) - t), v = w.value(double(j) - t, slope), x = u(j);
    uu += g2 * x * x, uw += g2 * x * v, ww += g2 * v * v;
    ud += g2 * x * slope, wd += g2 * v * slope, dd += g2 * slope * slope;
  }
  correlation = uu > 0 && ww > 0 ? uw / sqrt(uu * ww) : 0;
  if (!(uw > 0) || !(ww > 0)) return 0;
  const double a = uw / ww;                 // the residual at this a is orthogonal to w
  const double across = dd - wd * wd / ww;  // w' without its part along w
  return across > 1e-12 * dd ? -(ud - a * wd) / (a * across) : 0;
}

template <class Trace>
SONORAY_HD inline Pick match_trace(const Trace& u, std::int64_t n, const Template& w, const Taps& taps,
                                   const MatchParams& p, double first, double last) {
  if (!(last >= 0) || !(first <= n - 1)) return {0, 0, PickStatus::no_arrival};
  const std::int64_t k0 = first > 0 ? std::int64_t(ceil(first)) : 0;
  const std::int64_t k1 = last < n - 1 ? std::int64_t(floor(last)) : n - 1;
  if (k1 - k0 < 2) return {0, 0, PickStatus::no_arrival};
  const std::int64_t best = coarse(u, n, taps, p.earliest, k0, k1);
  if (best < 0) return {0, 0, PickStatus::no_arrival};
  if (best == k0 || best == k1) return {0, 0, PickStatus::edge};
  double t = double(best), likeness = 0;
  constexpr int settle = 3, rounds = 16;
  constexpr double close = 1e-3;  // samples
  for (int i = 0; i < settle; ++i) {
    const double d = step(u, n, w, p.whole, t, likeness);
    t += d > 0.5 ? 0.5 : d < -0.5 ? -0.5 : d;
    if (fabs(d) < close) break;
  }
  if (fabs(t - double(best)) > 1.5) t = double(best);
  const double found = t;
  for (int i = 0; i < rounds; ++i) {
    const double d = step(u, n, w, p.onset, t, likeness);
    t += d > 0.5 ? 0.5 : d < -0.5 ? -0.5 : d;
    if (fabs(d) < close) break;
  }
  if (!(likeness >= p.minimum_correlation) || !(fabs(t - found) <= p.reach)) return {0, 0, PickStatus::no_arrival};
  if (t < 0 || t > double(n - 1)) return {0, 0, PickStatus::edge};
  double pulse = 0;
  step(u, n, w, p.whole, t, pulse);
  return {t, pulse > 0 ? likeness * likeness * pulse * pulse : 0, PickStatus::picked};
}

}  // namespace sonoray::matching
