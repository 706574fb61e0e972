#pragma once
// What a call of greens.h prepares, the same on the host and on CUDA: where to trace, which fans, points in buckets.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "rays/greens.h"
#include "rays/greens_kernel.h"

namespace sonoray::greens {

inline void check_job(const Job& job) {
  require(bool(job.medium.index) && job.medium.index.kind != interpolation::Kind::linear,
          "medium: expected a spline, which has second derivatives");
  require(std::isfinite(job.medium.floor) && job.medium.floor > 0, "medium: expected a positive smallest index");
  require(std::isfinite(job.step) && job.step > 0, "step: expected a positive number");
  require(job.every >= 1 && job.every <= 64, "every: expected 1 to 64");
  require(std::isfinite(job.width) && job.width > 0, "width: expected a positive number");
  require(std::isfinite(job.speed) && job.speed > 0, "speed: expected a positive number");
  for (int d = 0; d < 2; ++d) require(std::isfinite(job.low[d]) && job.low[d] < job.high[d], "grid: expected a box");
  const std::int64_t n_points = job.points.shape[0], n_sources = job.sources.shape[0];
  require(job.points.shape[1] == 2 && job.sources.shape[1] == 2, "points, sources: expected two columns");
  require(n_points < (std::int64_t(1) << 31), "points: expected fewer than 2^31");
  for (const View<const double, 2>& list : {job.sources, job.points})
    for (std::int64_t i = 0; i < list.size(); ++i)
      require(std::abs(list.data[i]) < 1e3, "points, sources: expected finite positions");
  for (std::int64_t i = 0; i < n_sources; ++i)
    for (int d = 0; d < 2; ++d)
      require(job.sources(i, d) >= job.low[d] && job.sources(i, d) <= job.high[d], "sources: expected inside the grid");
  for (const View<float, 2>& v : {job.excess, job.focusing, job.take_off, job.arrival})
    require(v.data && v.shape[0] == n_points && v.shape[1] == n_sources, "fields: expected one number per pair");
  require(bool(job.medium.absorption) == bool(job.absorption), "absorption: expected with the medium's");
  if (job.absorption)
    require(job.absorption.shape[0] == n_points && job.absorption.shape[1] == n_sources,
            "absorption: expected one number per pair");
  require(job.caustics.data && job.caustics.shape[0] == n_points && job.caustics.shape[1] == n_sources,
          "caustics: expected one number per pair");
}

using Corner = std::pair<double, double>;

inline double turn(const Corner& a, const Corner& b, const Corner& c) {
  return (b.first - a.first) * (c.second - a.second) - (b.second - a.second) * (c.first - a.first);
}

/// Corners of the points' convex hull, anticlockwise (A. M. Andrew, Inf. Process. Lett. 9, 216 (1979)).
inline std::vector<Corner> hull_of(const View<const double, 2>& points) {
  std::vector<Corner> p(points.shape[0]), hull;
  for (std::size_t i = 0; i < p.size(); ++i) p[i] = {points(i, 0), points(i, 1)};
  std::sort(p.begin(), p.end());
  for (int side = 0; side < 2; ++side) {
    const std::size_t before = hull.size();
    for (const Corner& c : p) {
      while (hull.size() >= before + 2 && turn(hull[hull.size() - 2], hull.back(), c) <= 0) hull.pop_back();
      hull.push_back(c);
    }
    if (!hull.empty()) hull.pop_back();
    std::reverse(p.begin(), p.end());
  }
  if (hull.empty() && !p.empty()) hull.push_back(p.front());  // all the same
  return hull;
}

/// Directions in which a source's rays leave: all that look at the hull and some more, or all.
inline Fan fan_of(const double* x, const std::vector<Corner>& hull, double width) {
  constexpr double pi = 3.14159265358979323846, more = 0.15;  // what refraction bends [rad]
  Fan fan{};
  const Corner from{x[0], x[1]};
  fan.x[0] = x[0];
  fan.x[1] = x[1];
  double far = 0, middle[2] = {};
  bool inside = hull.size() > 2;
  for (std::size_t k = 0; k < hull.size(); ++k) {
    far = std::max(far, std::hypot(hull[k].first - x[0], hull[k].second - x[1]));
    middle[0] += hull[k].first / double(hull.size());
    middle[1] += hull[k].second / double(hull.size());
    inside = inside && turn(hull[k], hull[(k + 1) % hull.size()], from) > 1e-12;
  }
  if (far == 0) return fan;  // its own only point
  fan.first = -pi;
  double range = 2 * pi;
  if (!inside) {
    const double axis = std::atan2(middle[1] - x[1], middle[0] - x[0]);
    double low = 0, high = 0;
    for (const Corner& c : hull) {
      if (std::hypot(c.first - x[0], c.second - x[1]) < 1e-9) continue;
      const double angle = std::remainder(std::atan2(c.second - x[1], c.first - x[0]) - axis, 2 * pi);
      low = std::min(low, angle);
      high = std::max(high, angle);
    }
    if (high - low + 2 * more < 2 * pi) {
      fan.first = axis + low - more;
      range = high - low + 2 * more;
    }
  }
  const double wanted = std::max(width / far, 1e-5);
  fan.sectors = static_cast<std::int32_t>(std::max(1.0, std::ceil(range / wanted / sector)));
  fan.pitch = fan.widest = range / (double(fan.sectors) * sector);
  return fan;
}

/// A plan with the storage that it points to.
struct Prepared {
  Plan plan{};
  std::vector<Fan> fans;
  std::vector<std::int32_t> start, original;
  std::vector<float> x, z;
};

inline void fill_buckets(const Job& job, const double* low, const double* high, Prepared& p) {
  Buckets& b = p.plan.buckets;
  const std::int64_t n = job.points.shape[0];
  const double sides[2] = {high[0] - low[0], high[1] - low[1]};
  const double longest = std::max({sides[0], sides[1], 1e-6}), area = std::max(sides[0] * sides[1], 1e-12);
  const double side = std::max(2 * std::sqrt(area / double(std::max<std::int64_t>(n, 1))), longest / 4096);
  for (int d = 0; d < 2; ++d) {
    b.n[d] = static_cast<std::int32_t>(sides[d] / side + 0.5) + 1;
    b.low[d] = static_cast<float>(low[d] - p.plan.center[d] - 0.5 * side);  // points of a grid lie in the middle
  }
  b.inverse = static_cast<float>(1 / side);
  b.n_points = n;
  std::vector<std::int32_t> at(n);
  std::vector<float> x(n), z(n);
  p.start.assign(std::size_t(b.n[0]) * b.n[1] + 1, 0);
  for (std::int64_t i = 0; i < n; ++i) {
    x[i] = static_cast<float>(job.points(i, 0) - p.plan.center[0]);
    z[i] = static_cast<float>(job.points(i, 1) - p.plan.center[1]);
    at[i] =
        clamp_cell((x[i] - b.low[0]) * b.inverse, b.n[0]) * b.n[1] + clamp_cell((z[i] - b.low[1]) * b.inverse, b.n[1]);
    ++p.start[at[i] + 1];
  }
  for (std::size_t k = 1; k < p.start.size(); ++k) p.start[k] += p.start[k - 1];
  std::vector<std::int32_t> next(p.start.begin(), p.start.end() - 1);
  p.x.resize(n + 8);  // vectors may read beyond the last
  p.z.resize(n + 8);
  p.original.resize(n);
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int32_t k = next[at[i]]++;
    p.x[k] = x[i];
    p.z[k] = z[i];
    p.original[k] = static_cast<std::int32_t>(i);
  }
  b.start = p.start.data();
  b.x = p.x.data();
  b.z = p.z.data();
  b.original = p.original.data();
}

inline Prepared prepare(const Job& job) {
  Prepared p;
  Plan& plan = p.plan;
  double low[2] = {1e300, 1e300}, high[2] = {-1e300, -1e300}, all_low[2], all_high[2], radius = 0;
  const auto widen = [](const View<const double, 2>& list, double* from, double* to) {
    for (std::int64_t i = 0; i < list.size(); ++i) {
      from[i % 2] = std::min(from[i % 2], list.data[i]);
      to[i % 2] = std::max(to[i % 2], list.data[i]);
    }
  };
  widen(job.points, low, high);
  for (int d = 0; d < 2; ++d) {
    all_low[d] = low[d];
    all_high[d] = high[d];
  }
  widen(job.sources, all_low, all_high);
  for (int d = 0; d < 2; ++d) plan.center[d] = 0.5 * (low[d] + high[d]);  // the same for any sources
  tracing::Surface<2>& region = plan.region;
  for (int d = 0; d < 2; ++d) {
    region.center[d] = 0.5 * (all_low[d] + all_high[d]);
    region.low[d] = all_low[d];
    region.high[d] = all_high[d];
  }
  for (const View<const double, 2>& list : {job.points, job.sources})
    for (std::int64_t i = 0; i < list.shape[0]; ++i)
      radius = std::max(radius, std::hypot(list(i, 0) - region.center[0], list(i, 1) - region.center[1]));
  plan.medium = job.medium;
  plan.step = job.step;
  plan.every = job.every;
  plan.width = job.width;
  const double node = job.step * job.every;
  plan.near = 1.5 * node;
  plan.margin = 1.5 * (node + job.width);
  // The smaller of the circle and the box around all.
  const double sides[2] = {all_high[0] - all_low[0], all_high[1] - all_low[1]};
  const bool round = radius > 0 && 3.1416 * radius * radius < sides[0] * sides[1];
  region.shape = round ? tracing::Shape::sphere : tracing::Shape::box;
  region.radius = radius;
  // Rays that bend more than twice the diagonal would be caught in a channel.
  plan.rings = static_cast<int>(std::min(2 * (2 * radius + 2 * plan.margin) / node + 3, 1e5));
  const std::vector<Corner> hull = hull_of(job.points);
  p.fans.resize(job.sources.shape[0]);
  for (std::size_t i = 0; i < p.fans.size(); ++i) p.fans[i] = fan_of(job.sources.data + 2 * i, hull, job.width);
  fill_buckets(job, low, high, p);
  return p;
}

}  // namespace sonoray::greens
