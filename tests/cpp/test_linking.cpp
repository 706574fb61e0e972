// Linking without Python: straight rays, a lens with several arrivals, warm starts, paths, hostile input.
#include <cmath>
#include <cstdio>
#include <vector>

#include "core/dispatch.h"
#include "core/error.h"
#include "media/interpolation.h"
#include "rays/linking.h"

using namespace sonoray;

static int failures = 0;
#define CHECK(condition)                                          \
  do {                                                            \
    if (!(condition)) {                                           \
      std::printf("%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      ++failures;                                                 \
    }                                                             \
  } while (0)

/// A cube of 41 points per axis, 0.1 m wide, whose index has a Gaussian bump in the middle.
template <int D>
struct Case {
  interpolation::Points<D> points;
  std::vector<double> field;
  LinkParams<D> params{};

  explicit Case(double bump) {
    std::int64_t size = 1;
    for (int d = 0; d < D; ++d) {
      points.shape[d] = 41;
      points.spacing[d] = 2.5e-3;
      points.origin[d] = -0.05;
      params.low[d] = -0.05;
      params.high[d] = 0.05;
      size *= 41;
    }
    std::vector<double> samples(size);
    for (std::int64_t i = 0; i < size; ++i) {
      double square = 0;
      for (std::int64_t d = 0, rest = i; d < D; ++d, rest /= 41) square += std::pow((rest % 41 - 20) * 2.5e-3, 2);
      samples[i] = 1 + bump * std::exp(-square / (2 * 0.01 * 0.01));
    }
    field.resize(interpolation::field_size(points, interpolation::Kind::cubic));
    interpolation::make_field(Cpu{}, points, interpolation::Kind::cubic, samples.data(), field.data());
    params.medium.index = interpolation::field_view(points, interpolation::Kind::cubic, field.data());
    params.medium.floor = 0.1;
    params.cell = params.step = 2.5e-3;
    params.tolerance = 1e-6;
    params.max_traces = 30;
  }
};

template <int D>
struct Result {
  std::vector<double> rays;
  std::vector<std::int32_t> marks;
  std::vector<LaterRay<D>> later;
  LinkReport report;
};

template <int D>
static Result<D> run(const Case<D>& c, const std::vector<double>& tx, const std::vector<double>& rx,
                     const Result<D>* start = nullptr, int threads = 2) {
  const std::int64_t n_tx = std::int64_t(tx.size()) / D, n_rx = std::int64_t(rx.size()) / D;
  Result<D> r;
  r.rays.assign(n_tx * n_rx * ray_fields<D>, 0.0);
  r.marks.assign(n_tx * n_rx * mark_fields, 0);
  for (std::size_t i = 0; i < r.marks.size(); i += mark_fields) r.marks[i] = int(PairStatus::unknown);
  if (start) r = *start;
  r.report =
      link<D>(Cpu{threads}, c.params, {tx.data(), {n_tx, D}}, {rx.data(), {n_rx, D}},
              {r.rays.data(), {n_tx, n_rx, ray_fields<D>}}, {r.marks.data(), {n_tx, n_rx, mark_fields}}, r.later);
  return r;
}

/// Elements on both sides of the cube, some inside, some on its edge.
template <int D>
static std::vector<double> elements(int n, double side) {
  std::vector<double> x;
  for (int i = 0; i < n; ++i) {
    x.push_back(side);
    for (int d = 1; d < D; ++d) x.push_back(0.05 * std::sin(0.7 * i + d));
  }
  return x;
}

template <int D>
static void straight() {
  const Case<D> c(0.0);
  const auto tx = elements<D>(3, -0.05), rx = elements<D>(17, 0.049);
  const auto r = run<D>(c, tx, rx);
  for (int i = 0; i < 3 * 17; ++i) {
    double square = 0;
    for (int d = 0; d < D; ++d) square += std::pow(rx[i % 17 * D + d] - tx[i / 17 * D + d], 2);
    CHECK(r.marks[i * mark_fields] == int(PairStatus::linked));
    CHECK(std::fabs(r.rays[i * ray_fields<D>] - std::sqrt(square)) < 1e-13);
  }
}

template <int D>
static void lens() {
  Case<D> c(0.3);
  const auto tx = elements<D>(2, -0.045), rx = elements<D>(23, 0.045);
  const auto first = run<D>(c, tx, rx);
  int linked = 0;
  for (std::size_t i = 0; i < first.marks.size(); i += mark_fields) linked += first.marks[i] == int(PairStatus::linked);
  CHECK(linked == 46);
  const auto warm = run<D>(c, tx, rx, &first);
  CHECK(warm.report.fan_traces == 0);
  for (std::size_t i = 0; i < first.marks.size() / mark_fields; ++i)
    if (first.marks[i * mark_fields] == int(PairStatus::linked))
      CHECK(std::fabs(first.rays[i * ray_fields<D>] - warm.rays[i * ray_fields<D>]) < 1e-12);
  const auto alone = run<D>(c, tx, rx, nullptr, 1);
  CHECK(alone.marks == first.marks);
  // Paths
  std::vector<std::int64_t> offsets{0};
  for (std::size_t i = 0; i < first.marks.size(); i += mark_fields)
    offsets.push_back(offsets.back() + (first.marks[i] == 0 ? first.marks[i + 3] / 2 + 2 : 0));
  std::vector<double> points(offsets.back() * D);
  const std::int64_t n = 23;
  link_paths<D>(Cpu{2}, c.params, {tx.data(), {2, D}}, {rx.data(), {n, D}}, {first.rays.data(), {2, n, ray_fields<D>}},
                {first.marks.data(), {2, n, mark_fields}}, 2, {offsets.data(), {2 * n + 1}},
                {points.data(), {offsets.back(), D}});
  for (std::int64_t i = 0; i < 2 * n; ++i)
    for (int d = 0; d < D && offsets[i] < offsets[i + 1]; ++d) {
      CHECK(points[offsets[i] * D + d] == tx[i / n * D + d]);
      CHECK(points[(offsets[i + 1] - 1) * D + d] == rx[i % n * D + d]);
    }
  c.params.all = true;
  CHECK(!run<D>(c, tx, rx).later.empty());
}

template <int D>
static void solvers() {
  Case<D> c(0.05);
  c.params.max_traces = 200;
  const auto tx = elements<D>(2, -0.045), rx = elements<D>(11, 0.045);
  const auto ours = run<D>(c, tx, rx);
  for (auto solver : {linking::Solver::regula_falsi, linking::Solver::secant, linking::Solver::broyden}) {
    if ((D == 2) == (solver == linking::Solver::broyden)) continue;
    c.params.solver = solver;
    const auto other = run<D>(c, tx, rx);
    for (std::size_t i = 0; i < ours.marks.size() / mark_fields; ++i)
      if (other.marks[i * mark_fields] == 0)
        CHECK(std::fabs(ours.rays[i * ray_fields<D>] - other.rays[i * ray_fields<D>]) < 1e-9);
  }
}

static void hostile() {
  const Case<2> c(0.0);
  const auto refused = [&](std::vector<double> tx, LinkParams<2> params) {
    std::vector<double> rays(ray_fields<2>);
    std::vector<std::int32_t> marks{255, 0, 0, 0};
    std::vector<LaterRay<2>> later;
    const std::vector<double> rx{0.0, 0.0};
    try {
      link<2>(Cpu{1}, params, {tx.data(), {1, 2}}, {rx.data(), {1, 2}}, {rays.data(), {1, 1, ray_fields<2>}},
              {marks.data(), {1, 1, mark_fields}}, later);
    } catch (const ArgumentError&) {
      return true;
    }
    return false;
  };
  CHECK(refused({0.2, 0.0}, c.params));
  CHECK(refused({std::nan(""), 0.0}, c.params));
  LinkParams<2> bad = c.params;
  bad.step = 0;
  CHECK(refused({0.01, 0.0}, bad));
  bad = c.params;
  bad.medium.index = {};
  CHECK(refused({0.01, 0.0}, bad));
  bad = c.params;
  bad.solver = linking::Solver::broyden;
  CHECK(refused({0.01, 0.0}, bad));
}

int main() {
  const int top = static_cast<int>(cpu_level());
  for (int level = 0; level <= top; ++level) {
    set_cpu_level(static_cast<CpuLevel>(level));
    straight<2>();
    straight<3>();
    lens<2>();
    lens<3>();
    solvers<2>();
    solvers<3>();
  }
  hostile();
  return failures != 0;
}
