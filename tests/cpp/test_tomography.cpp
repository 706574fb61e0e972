// The travel-time operator without Python: lengths, the transpose, the matrix, threads, levels, refusals.
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "check.h"
#include "core/dispatch.h"
#include "core/error.h"
#include "inversion/tomography.h"

using namespace sonoray;

namespace {

struct Case {
  TomographyGrid grid;
  std::vector<double> points;
  std::vector<std::int32_t> offsets;

  RayPaths paths() const {
    const std::int64_t n = static_cast<std::int64_t>(points.size()) / grid.ndim;
    return {{points.data(), {n, grid.ndim}}, {offsets.data(), {static_cast<std::int64_t>(offsets.size())}}};
  }
  std::int64_t rays() const { return static_cast<std::int64_t>(offsets.size()) - 1; }
};

/// Rays of 0, 2 or many nodes; some coordinates lie exactly on grid lines, the last ones among them.
Case random_case(int ndim, std::int64_t rays, unsigned seed) {
  Case c;
  c.grid.ndim = ndim;
  for (int i = 0; i < ndim; ++i) {
    c.grid.shape[i] = 7 + 3 * i;
    c.grid.spacing[i] = 1e-3 * (1 + 0.3 * i);
    c.grid.origin[i] = -2e-3 + 1e-3 * i;
  }
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> unit(0, 1);
  c.offsets.push_back(0);
  for (std::int64_t ray = 0; ray < rays; ++ray) {
    const int nodes = ray % 5 == 0 ? 0 : ray % 5 == 1 ? 2 : 2 + static_cast<int>(unit(random) * 400);
    for (int k = 0; k < nodes; ++k)
      for (int i = 0; i < ndim; ++i) {
        double cell = unit(random) * (c.grid.shape[i] - 1);
        if (unit(random) < 0.3) cell = std::round(cell);
        c.points.push_back(c.grid.origin[i] + cell * c.grid.spacing[i]);
      }
    c.offsets.push_back(static_cast<std::int32_t>(c.points.size()) / ndim);
  }
  return c;
}

std::vector<double> forward(const Case& c, const std::vector<double>& x, int threads = 1) {
  std::vector<double> out(c.rays());
  travel_times(Cpu{threads}, c.grid, c.paths(), {}, {}, {x.data(), {c.grid.size()}}, {out.data(), {c.rays()}});
  return out;
}

std::vector<double> adjoint(const Case& c, const std::vector<double>& y, double length, int threads = 1) {
  std::vector<double> out(c.grid.size());
  travel_times_adjoint(Cpu{threads}, c.grid, c.paths(), length, {}, {}, {y.data(), {c.rays()}},
                       {out.data(), {c.grid.size()}});
  return out;
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

void check_operator(int ndim, CpuLevel level) {
  set_cpu_level(level);
  const Case c = random_case(ndim, 150, 3 + ndim);
  std::mt19937 random(1);
  std::normal_distribution<double> normal;
  std::vector<double> x(c.grid.size()), y(c.rays());
  for (double& v : x) v = normal(random);
  for (double& v : y) v = normal(random);
  const PathCheck checked = check_paths(Cpu{2}, c.grid, c.paths());
  CHECK(checked.outside == -1);
  const std::vector<double> lengths = forward(c, std::vector<double>(x.size(), 1.0));
  double total = 0;
  for (double l : lengths) total += l;
  CHECK(std::fabs(total - checked.total_length) < 1e-12 * total);
  const std::vector<double> t = forward(c, x), back = adjoint(c, y, total);
  CHECK(std::fabs(dot(t, y) - dot(back, x)) < 1e-13 * std::sqrt(dot(t, t) * dot(y, y)));
  for (int threads : {2, 5}) {
    CHECK(forward(c, x, threads) == t);
    CHECK(adjoint(c, y, total, threads) == back);
  }
  // The matrix holds the same numbers.
  double worst = 0;
  std::size_t ray = 0;
  for (const MatrixRows& part : travel_time_matrix(Cpu{2}, c.grid, c.paths(), {}, {})) {
    std::int64_t k = 0;
    for (const std::int64_t end : part.ends) {
      double sum = 0;
      for (; k < end; ++k) sum += part.values[k] * x[part.indices[k]];
      worst = std::fmax(worst, std::fabs(sum - t[ray++]));
    }
  }
  CHECK(ray == t.size());
  CHECK(worst < 1e-12);
}

/// x z, or x y z, is its own interpolant; along a line from corner to corner its mean is 1/3 or 1/4.
void check_exactness(int ndim) {
  Case c = random_case(ndim, 0, 1);
  double length = 0;
  std::vector<double> x(c.grid.size());
  for (int end = 0; end < 2; ++end)
    for (int i = 0; i < ndim; ++i)
      c.points.push_back(c.grid.origin[i] + end * (c.grid.shape[i] - 1) * c.grid.spacing[i]);
  c.offsets.push_back(2);
  for (int i = 0; i < ndim; ++i) length += std::pow(c.points[ndim + i] - c.points[i], 2);
  length = std::sqrt(length);
  for (std::int64_t node = 0; node < c.grid.size(); ++node) {
    std::int64_t index[3], rest = node;
    double product = 1;
    for (int i = ndim - 1; i >= 0; --i) {
      index[i] = rest % c.grid.shape[i];
      rest /= c.grid.shape[i];
      product *= static_cast<double>(index[i]) / (c.grid.shape[i] - 1);
    }
    x[node] = product;
  }
  CHECK(std::fabs(forward(c, x)[0] - length / (ndim + 1)) < 1e-15);
}

template <class F>
bool refused(const F& f) {
  try {
    f();
  } catch (const ArgumentError&) {
    return true;
  }
  return false;
}

void check_refusals() {
  Case c = random_case(2, 10, 5);
  const std::vector<double> x(c.grid.size(), 1.0);
  const std::vector<double> y(c.rays(), 1.0);
  CHECK(!refused([&] { forward(c, x); }));
  Case wrong = c;
  wrong.offsets.back() += 1;
  CHECK(refused([&] { forward(wrong, x); }));
  wrong = c;
  wrong.offsets[3] = -5;
  CHECK(refused([&] { adjoint(wrong, y, 1.0); }));
  wrong = c;
  wrong.grid.shape[0] = 1;
  CHECK(refused([&] { forward(wrong, x); }));
  std::vector<double> out(c.rays());
  CHECK(refused([&] {
    travel_times(Cpu{1}, c.grid, c.paths(), {}, {}, {x.data(), {c.grid.size() - 1}}, {out.data(), {c.rays()}});
  }));
  const std::vector<std::int32_t> columns(c.grid.size(), 4);
  CHECK(refused([&] {
    travel_times(Cpu{1}, c.grid, c.paths(), {}, {columns.data(), {c.grid.size()}}, {x.data(), {4}},
                 {out.data(), {c.rays()}});
  }));
  // Nodes outside are found; if they are not asked for, nothing is read beyond the grid.
  for (double bad : {1.0, -1.0, std::numeric_limits<double>::quiet_NaN()}) {
    wrong = c;
    wrong.points[2 * wrong.offsets[2] + 1] = bad;
    CHECK(check_paths(Cpu{1}, wrong.grid, wrong.paths()).outside == 2);
    forward(wrong, x);
    adjoint(wrong, y, 1.0);
  }
}

}  // namespace

int main() {
  for (CpuLevel level : {CpuLevel::baseline, CpuLevel::v3, CpuLevel::v4})
    for (int ndim : {2, 3}) check_operator(ndim, level);
  check_exactness(2);
  check_exactness(3);
  check_refusals();
  return failures;
}
