// The travel-time operator without Python: lengths, the transpose, the matrix, threads, levels, refusals.
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "check.h"
#include "core/dispatch.h"
#include "core/error.h"
#include "inversion/sparse_rows.h"
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

/// The formulas for one step at a time in doubles, as CUDA runs them, with sums of 64-bit integers in the adjoint.
template <int D>
void check_one_at_a_time() {
  using namespace tomography;
  const Case c = random_case(D, 60, 9);
  std::vector<double> y(c.rays());
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = std::sin(1.0 + double(i));
  const double total = check_paths(Cpu{1}, c.grid, c.paths()).total_length;
  const double unit = 4611686018427387904.0 / total;
  std::vector<std::int64_t> image(c.grid.size() << D, 0);
  double cells[D], length = 0;
  for (int i = 0; i < D; ++i) cells[i] = double(c.grid.shape[i] - 1);
  for (std::int64_t ray = 0; ray < c.rays(); ++ray)
    for (std::int32_t node = c.offsets[ray]; node + 1 < c.offsets[ray + 1]; ++node) {
      Step<D, double> whole, part;
      double squared = 0, extent = 0;
      for (int i = 0; i < D; ++i) {
        double end[2];
        for (int k = 0; k < 2; ++k)
          end[k] = in_cells(c.points[(node + k) * D + i], c.grid.origin[i], 1 / c.grid.spacing[i], cells[i]);
        whole.from[i] = end[0];
        whole.along[i] = end[1] - end[0];
        squared += std::pow(whole.along[i] * c.grid.spacing[i], 2);
        extent = larger(extent, std::fabs(whole.along[i]));
      }
      const int n = steps_of(extent);
      for (int k = 0; k < n; ++k) {
        for (int i = 0; i < D; ++i) {
          part.along[i] = whole.along[i] / n;
          part.from[i] = whole.from[i] + part.along[i] * k;
        }
        part.length = std::sqrt(squared) / n;
        double ends[D + 2], w[1 << D];
        split<D, double>(part, ends);
        for (int p = 0; p <= D; ++p) {
          const Piece<D, double> q = piece<D, double>(part, ends[p], ends[p + 1], cells);
          moments<D, double>(q, w);
          length += w[0];
          for (int m = 0; m < 1 << D; ++m) image[(std::int64_t(q.cell) << D) + m] += std::llrint(y[ray] * unit * w[m]);
        }
      }
    }
  CHECK(std::fabs(length - total) < 1e-12 * total);
  const std::vector<double> expected = adjoint(c, y, total);
  double worst = 0, largest = 0;
  for (std::int64_t node = 0; node < c.grid.size(); ++node) {
    std::int64_t index[D];
    unravel<D>(node, c.grid.shape, index);
    const auto moment = [&](std::int64_t cell, int m) { return image[(cell << D) + m] / unit; };
    const double value = gather_moments<D>(moment, node, index, c.grid.shape);
    worst = std::fmax(worst, std::fabs(value - expected[node]));
    largest = std::fmax(largest, std::fabs(expected[node]));
  }
  CHECK(worst < 1e-12 * largest);
}

template <class Value>
void check_sparse_rows() {
  const std::vector<std::int64_t> starts = {0, 2, 2, 5};
  std::vector<std::int32_t> indices = {0, 3, 1, 2, 3};
  const std::vector<Value> values = {1, 2, 3, 4, 5};
  const std::vector<double> x = {1, 10, 100, 1000}, y = {1, 7, 10};
  SparseRows<Value> a{{starts.data(), {4}}, {indices.data(), {5}}, {values.data(), {5}}};
  std::vector<double> ax(3), ay(4);
  sparse_product(Cpu{2}, a, {x.data(), {4}}, {ax.data(), {3}});
  sparse_transpose_product(Cpu{2}, a, {y.data(), {3}}, {ay.data(), {4}});
  CHECK((ax == std::vector<double>{2001, 0, 5430}));
  CHECK((ay == std::vector<double>{1, 30, 40, 52}));
  CHECK(is_consistent(a, 4));
  CHECK(!is_consistent(a, 3));
  indices[1] = -1;
  CHECK(!is_consistent(a, 4));
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
  check_one_at_a_time<2>();
  check_one_at_a_time<3>();
  check_sparse_rows<float>();
  check_sparse_rows<double>();
  check_exactness(2);
  check_exactness(3);
  check_refusals();
  return failures;
}
