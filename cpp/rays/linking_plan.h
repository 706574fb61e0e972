#pragma once
// What the schedules on the host and on CUDA prepare alike: checks, the space, the fan that covers the receivers of
// an emitter, and the choice among the rays found.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "core/error.h"
#include "rays/linking.h"
#include "rays/linking_starts.h"
#include "rays/linking_trace.h"

namespace sonoray::linking {

template <int D>
void check(const LinkParams<D>& p, View<const double, 2> tx, View<const double, 2> rx, std::int64_t pairs_tx,
           std::int64_t pairs_rx) {
  require(bool(p.medium.index), "medium: expected a field of the refractive index");
  require(std::isfinite(p.step) && p.step > 0 && p.cell > 0, "step: expected a positive length");
  require(p.tolerance > 0 && p.max_traces >= 1, "tolerance, max_traces: expected positive numbers");
  require(tx.shape[1] == D && rx.shape[1] == D, "tx, rx: expected one column per dimension");
  require(pairs_tx == tx.shape[0] && pairs_rx == rx.shape[0], "rays, marks: expected shape (n_tx, n_rx, fields)");
  require(rx.shape[0] < (std::int64_t(1) << 30), "rx: too many receivers");
  const bool fits = D == 2 ? p.solver != Solver::broyden : p.solver == Solver::newton || p.solver == Solver::broyden;
  require(fits, "solver: expected one for this dimension");
  for (const auto& v : {tx, rx})
    for (std::int64_t i = 0; i < v.shape[0]; ++i)
      for (int d = 0; d < D; ++d)
        require(v(i, d) >= p.low[d] - p.cell && v(i, d) <= p.high[d] + p.cell, "tx, rx: expected points in the grid");
}

template <int D>
Space<D> make_space(const LinkParams<D>& p, View<const double, 2> tx, View<const double, 2> rx) {
  Space<D> s{};
  s.medium = p.medium;
  s.step = p.step;
  s.margin = p.cell;
  double low[D], high[D];
  for (int d = 0; d < D; ++d) {
    s.low[d] = p.low[d];
    s.high[d] = p.high[d];
    low[d] = 1e300;
    high[d] = -1e300;
    for (const auto& v : {tx, rx})
      for (std::int64_t i = 0; i < v.shape[0]; ++i) {
        low[d] = std::min(low[d], v(i, d));
        high[d] = std::max(high[d], v(i, d));
      }
    s.center[d] = 0.5 * (low[d] + high[d]);
  }
  double most = 0;
  for (const auto& v : {tx, rx})
    for (std::int64_t i = 0; i < v.shape[0]; ++i) {
      double square = 0;
      for (int d = 0; d < D; ++d) square += (v(i, d) - s.center[d]) * (v(i, d) - s.center[d]);
      most = std::max(most, square);
    }
  s.radius = std::sqrt(most) + 2 * p.step;
  return s;
}

/// A receiver as seen from an emitter.
template <int D>
struct Seen {
  std::int32_t rx;
  double target[D], rho, y[D - 1];
};

/// The chart on which the receivers lie best, and their coordinates on it.
inline void place(std::vector<Seen<2>>& seen, Chart<2>& chart) {
  const double first[2] = {1, 0};
  chart.point(first);
  if (seen.empty()) return;
  std::vector<double> angles;
  for (const auto& s : seen) angles.push_back(std::atan2(s.target[1], s.target[0]));
  std::sort(angles.begin(), angles.end());
  double gap = angles.front() + 2 * pi - angles.back(), middle = 0.5 * (angles.front() + angles.back());
  for (std::size_t i = 1; i < angles.size(); ++i)
    if (angles[i] - angles[i - 1] > gap) {
      gap = angles[i] - angles[i - 1];
      middle = 0.5 * (angles[i] + angles[i - 1]) + pi;
    }
  const double axis[2] = {std::cos(middle), std::sin(middle)};
  chart.point(axis);
  for (auto& s : seen) {
    const double t[2] = {s.target[0] / s.rho, s.target[1] / s.rho};
    chart.coordinates(t, s.y);
  }
  // Neighbours share lanes: they walk the same cells and have ways of about the same length.
  std::sort(seen.begin(), seen.end(), [](const Seen<2>& a, const Seen<2>& b) { return a.y[0] < b.y[0]; });
}

inline void place(std::vector<Seen<3>>& seen, Chart<3>& chart) {
  double axis[3] = {0, 0, 1};
  double sum[3] = {};
  for (const auto& s : seen)
    for (int d = 0; d < 3; ++d) sum[d] += s.target[d] / s.rho;
  const double length = norm<3>(sum);
  if (length > 1e-6 * double(seen.size()))
    for (int d = 0; d < 3; ++d) axis[d] = sum[d] / length;
  chart.point(axis);
  for (auto& s : seen) {
    double t[3];
    for (int d = 0; d < 3; ++d) t[d] = s.target[d] / s.rho;
    chart.coordinates(t, s.y);
  }
}

/// Steps between two looks at a ray of the fan, about three cells.
template <int D>
int look_interval(const LinkParams<D>& p) {
  return std::max(1, int(std::lround(3 * p.cell / p.step)));
}

/// A lattice over the receivers and `beyond` [rad] around them. `rays` is how many the fan may have for its receivers'
/// sake; the medium may want more, so that no fold is missed: at the farthest receiver, rays are at most so many
/// `cells` apart.
template <int D>
Fan<D> make_fan(const LinkParams<D>& p, const Chart<D>& chart, const std::vector<Seen<D>>& seen,
                const std::vector<int>& which, double beyond, double rays, double cells) {
  constexpr int E = D - 1;
  Fan<D> fan{};
  fan.chart = chart;
  double low[E], high[E], farthest = 0;
  for (int j = 0; j < E; ++j) {
    low[j] = 1e300;
    high[j] = -1e300;
  }
  for (int i : which) {
    for (int j = 0; j < E; ++j) {
      low[j] = std::min(low[j], seen[i].y[j] - beyond);
      high[j] = std::max(high[j], seen[i].y[j] + beyond);
    }
    farthest = std::max(farthest, seen[i].rho);
  }
  fan.spacing = look_interval(p) * p.step;
  fan.most_samples = int(farthest / fan.spacing) + 3;
  const double coarsest = cells * p.cell / farthest;
  if (D == 2) {
    fan.closed = high[0] - low[0] > 1.96 * pi;
    const double span = fan.closed ? 2 * pi : high[0] - low[0];
    fan.n[0] = int(std::clamp(std::max(rays, span / std::min(coarsest, 0.2)), 4.0, 20000.0)) + (fan.closed ? 0 : 1);
    fan.pitch[0] = span / (fan.closed ? fan.n[0] : fan.n[0] - 1);
    fan.first[0] = low[0];
  } else {
    for (int j = 0; j < E; ++j) {  // no further than the antipode's circle
      low[j] = std::max(low[j], -1.99);
      high[j] = std::min(high[j], 1.99);
    }
    const double area = (high[0] - low[0]) * (high[E - 1] - low[E - 1]);
    const double pitch = std::min({std::sqrt(area / std::max(rays, 1.0)), coarsest, 0.2});
    for (int j = 0; j < E; ++j) {
      fan.n[j] = int(std::clamp((high[j] - low[j]) / pitch, 3.0, 400.0)) + 1;
      fan.pitch[j] = (high[j] - low[j]) / (fan.n[j] - 1);
      fan.first[j] = low[j];
    }
  }
  return fan;
}

/// The largest deflection of any ray of a fan.
template <int D>
double reach_of(const Fan<D>& fan) {
  double most = 0;
  for (int ray = 0; ray < fan.rays(); ++ray) {
    const Exit<D>& exit = fan.exits[ray];
    double y[D - 1], u[D - 1];
    for (int k = 0; k < exit.samples; ++k)
      for (int j = 0; j < D - 1; ++j)
        most = std::max(most, double(std::fabs(fan.samples[std::int64_t(ray) * fan.most_samples + k].deflection[j])));
    if (!exit.goes_on) continue;
    fan.chart.coordinates(exit.t, y);
    Chart<D>::difference(y, exit.y0, u);
    for (int j = 0; j < D - 1; ++j) most = std::max(most, std::fabs(u[j]));
  }
  return most;
}

/// Whether the outermost rays pass all receivers on the outside.
inline bool covers(const Fan<2>& fan, const std::vector<Seen<2>>& seen, const std::vector<int>& which) {
  if (fan.closed) return true;
  for (int i : which)
    for (int end = 0; end < 2; ++end) {
      const Passing p = passing(fan, end ? fan.n[0] - 1 : 0, seen[i].rho, seen[i].y[0]);
      if (p.valid && (end ? p.f < 0 : p.f > 0)) return false;
    }
  return true;
}

/// Whether two rays to one receiver are the same: their take-offs differ by less than what the tolerance allows.
template <int D>
bool same_ray(const Found<D>& a, const Found<D>& b, double tolerance) {
  double square = 0;
  for (int d = 0; d < D; ++d) square += (a.fields[2 + d] - b.fields[2 + d]) * (a.fields[2 + d] - b.fields[2 + d]);
  const double q = D == 2 ? std::fabs(a.fields[1]) : std::sqrt(std::fabs(a.fields[1]));
  return std::sqrt(square) < 1e-9 + 10 * tolerance / std::max(q, 1e-3);
}

/// Writes down the first arrival of a pair, from all the rays found; the others go to `later` if all are wanted.
template <int D>
void choose(std::vector<Found<D>>& list, bool sure, bool all, double tolerance, std::int32_t tx, std::int32_t rx,
            std::int32_t* m, double* to, std::vector<LaterRay<D>>& later) {
  bool outside = false;
  std::vector<Found<D>> kept;
  std::stable_sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.fields[0] < b.fields[0]; });
  for (const auto& f : list) {
    outside = outside || f.outside;
    bool known = f.outside;
    for (const auto& other : kept) known = known || same_ray<D>(f, other, tolerance);
    if (!known) kept.push_back(f);
  }
  if (kept.empty()) {
    m[0] = int(outside ? PairStatus::left_grid : sure ? PairStatus::not_converged : PairStatus::shadow);
    m[2] = m[3] = 0;
    for (int k = 0; k < ray_fields<D>; ++k) to[k] = std::nan("");
    return;
  }
  m[0] = int(PairStatus::linked);
  m[2] = kept[0].caustics;
  m[3] = kept[0].steps;
  std::copy(kept[0].fields, kept[0].fields + ray_fields<D>, to);
  for (std::size_t k = 1; k < kept.size() && all; ++k) {
    LaterRay<D> one{tx, rx, kept[k].caustics, kept[k].steps, {}};
    std::copy(kept[k].fields, kept[k].fields + ray_fields<D>, one.fields);
    later.push_back(one);
  }
}

/// The receivers that are wanted, as the emitter at `at` sees them; marks pairs at the same point as skipped.
template <int D>
std::vector<Seen<D>> look(const double* at, View<const double, 2> rx, double tolerance, std::int32_t* marks) {
  std::vector<Seen<D>> seen;
  for (std::int64_t r = 0; r < rx.shape[0]; ++r) {
    Seen<D> one{std::int32_t(r), {}, 0, {}};
    for (int d = 0; d < D; ++d) one.target[d] = rx(r, d) - at[d];
    one.rho = norm<D>(one.target);
    std::int32_t& status = marks[r * mark_fields];
    if (one.rho <= tolerance) status = int(PairStatus::skipped);
    if (status != int(PairStatus::skipped)) seen.push_back(one);
  }
  return seen;
}

}  // namespace sonoray::linking
