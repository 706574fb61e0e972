// Rays without Python: splines against polynomials, one ray against its lanes, energy, surfaces, statuses, hostile
// input.
#include <cmath>
#include <cstdio>
#include <limits>
#include <random>
#include <vector>

#include "core/dispatch.h"
#include "core/error.h"
#include "media/interpolation.h"
#include "rays/tracing.h"
#include "rays/tracing_lanes.h"

using namespace sonoray;
using namespace sonoray::tracing;
using interpolation::Kind;

static int failures = 0;
#define CHECK(condition)                                          \
  do {                                                            \
    if (!(condition)) {                                           \
      std::printf("%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      ++failures;                                                 \
    }                                                             \
  } while (0)

template <int D>
static interpolation::Points<D> cube(std::int64_t n, double low, double high) {
  interpolation::Points<D> points;
  for (int d = 0; d < D; ++d) {
    points.shape[d] = n + d;
    points.spacing[d] = (high - low) / static_cast<double>(n + d - 1);
    points.origin[d] = low;
  }
  return points;
}

/// A field of f at the points, and the memory it lies in.
template <int D, class F>
static Field<D> field(const interpolation::Points<D>& points, Kind kind, const F& f, std::vector<double>& data) {
  std::int64_t size = 1;
  for (int d = 0; d < D; ++d) size *= points.shape[d];
  std::vector<double> samples(size);
  for (std::int64_t k = 0; k < size; ++k) {
    double x[D];
    std::int64_t rest = k;
    for (int d = D - 1; d >= 0; --d) {
      x[d] = points.origin[d] + points.spacing[d] * static_cast<double>(rest % points.shape[d]);
      rest /= points.shape[d];
    }
    samples[k] = f(x);
  }
  data.assign(interpolation::field_size(points, kind), 0.0);
  interpolation::make_field(Cpu{2}, points, kind, samples.data(), data.data());
  return interpolation::field_view(points, kind, data.data());
}

template <int D>
static double square(const double* x) {
  double sum = 0;
  for (int d = 0; d < D; ++d) sum += x[d] * x[d];
  return sum;
}

/// Any position whatever, far outside and NaN included: finite, and within reach of the samples.
template <int D>
static void check_outside(Kind kind) {
  std::vector<double> data;
  for (std::int64_t n : {2, 3, 4, 5, 9}) {
    const auto points = cube<D>(n, -1, 1);
    const auto f = field<D>(points, kind, [](const double* x) { return 1 + 0.3 * x[0] - 0.2 * x[D - 1]; }, data);
    std::mt19937 random(5);
    std::uniform_real_distribution<double> where(-1.2, 1.2);
    for (int k = 0; k < 300; ++k) {
      double x[D], expected = 1;
      for (int d = 0; d < D; ++d) {
        x[d] = where(random) * (k % 7 == 0 ? 1e300 : k % 5 == 0 ? 1e6 : 1.0);
        const double held = std::fmin(1.0, std::fmax(-1.0, x[d]));
        expected += (d == 0 ? 0.3 : 0) * held - (d == D - 1 ? 0.2 : 0) * held;
      }
      Sample<D, double> s;
      interpolation::sample<2, D, double>(f, x, s);
      CHECK(std::fabs(s.value - expected) < 1e-12);
      for (double g : s.gradient) CHECK(std::fabs(g) < 0.3 + 1e-9);
      x[0] = std::numeric_limits<double>::quiet_NaN();
      interpolation::sample<2, D, double>(f, x, s);
      CHECK(std::isfinite(s.value));
    }
  }
}

template <int D>
struct Eye {
  std::vector<double> data;
  Medium<D> medium;
  Surface<D> surface;

  Eye(std::int64_t n, Kind kind) {
    medium.index = field<D>(cube<D>(n, -2.6, 2.6), kind, [](const double* x) { return 1 / (1 + square<D>(x)); }, data);
    medium.floor = 1e-3;
    for (int d = 0; d < D; ++d) {
      surface.low[d] = -2.6;
      surface.high[d] = 2.6;
    }
  }
};

/// |K| = n along the way; one ray alone (double) is the ray in a lane; it lands on the sphere.
template <Scheme scheme, int D>
static void check_ray(CpuLevel level) {
  set_cpu_level(level);
  Eye<D> eye(D == 2 ? 120 : 40, Kind::cubic);
  eye.surface.shape = Shape::sphere;
  eye.surface.radius = 1.9;
  const int n = 21;
  std::vector<double> positions, directions, result(n * Columns<D>::with_amplitudes);
  for (int i = 0; i < n; ++i) {
    const double a = -1 + 0.1 * i;
    for (int d = 0; d < D; ++d) {
      positions.push_back(d == D - 1 ? 1.0 : 0.0);
      directions.push_back(d == 0 ? std::sin(a) : d == D - 1 ? -std::cos(a) : 0.1);
    }
  }
  Job<D> job;
  job.medium = eye.medium;
  job.surface = eye.surface;
  job.limits = {0.03, 2000};
  job.scheme = scheme;
  job.amplitudes = true;
  job.n = n;
  job.positions = positions.data();
  job.directions = directions.data();
  job.result = result.data();
  trace_rays(Cpu{2}, job);
  for (int i = 0; i < n; ++i) {
    const double* const row = &result[i * Columns<D>::with_amplitudes];
    CHECK(row[Columns<D>::status] == arrived || row[Columns<D>::status] == too_long);
    Ray<scheme, 2, D, double> ray;
    start(eye.medium, eye.surface, job.limits, &positions[i * D], &directions[i * D], ray);
    double worst = 0;
    trace(eye.medium, eye.surface, job.limits, ray, [&](bool, const double* y) {
      Sample<D, double> s;
      interpolation::sample<0, D, double>(eye.medium.index, y, s);
      if (ray.steps > 0) worst = std::fmax(worst, std::fabs(std::sqrt(square<D>(y + D)) / s.value - 1));
    });
    CHECK(worst < (scheme == Scheme::rk4 ? 1e-6 : 1e-2));
    CHECK(ray.status == row[Columns<D>::status]);
    CHECK(ray.steps == row[Columns<D>::steps]);
    for (int d = 0; d < D; ++d) CHECK(std::fabs(ray.position()[d] - row[Columns<D>::position + d]) < 1e-11);
    for (int k = 0; k < 4 * spread_size<D>; ++k)
      CHECK(std::fabs(ray.q(0)[k] - row[Columns<D>::solution + k]) < 1e-8 * (1 + std::fabs(ray.q(0)[k])));
    if (ray.status == arrived) CHECK(std::fabs(square<D>(row) - 1.9 * 1.9) < 1e-12);
  }
}

/// Starts that cannot be, and the second pass for nodes.
static void check_statuses_and_nodes() {
  Eye<2> eye(60, Kind::cubic);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<double> positions = {0, 1, 3, 0, nan, 0, 0, 1, 0, 1, 2.6, 2.6, 1, 0};
  const std::vector<double> directions = {0, -1, 0, 1, 0, 1, 0, 0, nan, 1, 1, 1, 0, 5e-200};
  Job<2> job;
  job.medium = eye.medium;
  job.surface = eye.surface;
  job.limits = {0.05, 3000};
  job.n = 7;
  job.positions = positions.data();
  job.directions = directions.data();
  std::vector<double> result(job.n * Columns<2>::plain);
  job.result = result.data();
  trace_rays(Cpu{1}, job);
  const int expected[7] = {arrived, bad_start, bad_start, bad_start, bad_start, arrived, bad_start};
  std::vector<std::int64_t> offsets{0};
  for (int i = 0; i < 7; ++i) {
    const double* const row = &result[i * Columns<2>::plain];
    CHECK(row[Columns<2>::status] == expected[i]);
    for (int c = 0; c < Columns<2>::plain; ++c) CHECK(std::isfinite(row[c]));
    offsets.push_back(offsets.back() + kept_nodes(static_cast<std::int64_t>(row[Columns<2>::steps]), 4));
  }
  std::vector<double> nodes(2 * offsets.back(), nan);
  job.result = nullptr;
  job.nodes = nodes.data();
  job.n_nodes = offsets.back();
  job.offsets = offsets.data();
  job.every = 4;
  trace_rays(Cpu{1}, job);
  CHECK(nodes[0] == 0 && nodes[1] == 1);
  for (std::int64_t k = 0; k < 2 * offsets[1]; ++k) CHECK(std::isfinite(nodes[k]));
  CHECK(std::fabs(nodes[2 * offsets[1] - 1] - result[1]) < 1e-15);
  offsets[1] = 1000000;  // wrong offsets must not write beyond the end
  trace_rays(Cpu{1}, job);
}

template <class F>
static bool refused(const F& f) {
  try {
    f();
  } catch (const ArgumentError&) {
    return true;
  }
  return false;
}

static void check_refusals() {
  Eye<2> eye(30, Kind::linear);
  Job<2> job;
  job.medium = eye.medium;
  job.surface = eye.surface;
  job.limits = {0.05, 100};
  CHECK(!refused([&] { trace_rays(Cpu{1}, job); }));
  const auto with = [&](auto change) {
    Job<2> other = job;
    change(other);
    return refused([&] { trace_rays(Cpu{1}, other); });
  };
  CHECK(with([](Job<2>& j) { j.medium.index = {}; }));
  CHECK(with([](Job<2>& j) { j.medium.floor = 0; }));
  CHECK(with([](Job<2>& j) { j.limits.step = std::numeric_limits<double>::quiet_NaN(); }));
  CHECK(with([](Job<2>& j) { j.limits.max_steps = 0; }));
  CHECK(with([](Job<2>& j) { j.amplitudes = true; }));  // linear
  CHECK(with([](Job<2>& j) { j.n = 1; }));
  CHECK(with([](Job<2>& j) { j.surface.shape = Shape::sphere; }));
  CHECK(with([](Job<2>& j) { j.surface.shape = Shape::convex; }));
  CHECK(with([](Job<2>& j) { j.surface.high[0] = -9; }));
  const auto tiny = cube<2>(1, 0, 1);
  CHECK(refused([&] { interpolation::field_size(tiny, Kind::cubic); }));
}

int main() {
  for (Kind kind : {Kind::linear, Kind::smoothing, Kind::cubic}) {
    check_outside<2>(kind);
    check_outside<3>(kind);
  }
  for (CpuLevel level : {CpuLevel::baseline, CpuLevel::v3, CpuLevel::v4}) {
    check_ray<Scheme::rk4, 2>(level);
    check_ray<Scheme::heun, 2>(level);
    check_ray<Scheme::rk4, 3>(level);
  }
  check_statuses_and_nodes();
  check_refusals();
  std::printf("%s\n", failures ? "FAILED" : "ok");
  return failures != 0;
}
