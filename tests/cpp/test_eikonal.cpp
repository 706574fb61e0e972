// The eikonal solver without Python: the upwind formula against brute force, and times in a homogeneous medium.
#include <cmath>
#include <cstdio>
#include <limits>
#include <random>
#include <vector>

#include "core/dispatch.h"
#include "core/error.h"
#include "rays/eikonal.h"
#include "rays/eikonal_kernel.h"

using namespace sonoray;

static int failures = 0;
#define CHECK(condition)                                          \
  do {                                                            \
    if (!(condition)) {                                           \
      std::printf("%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      ++failures;                                                 \
    }                                                             \
  } while (0)

/// godunov() must solve sum max(0, a v - b)^2 = bound, whose left side rises with v.
template <int D>
static void check_godunov() {
  std::mt19937 random(D);
  std::uniform_real_distribution<float> a(0.5f, 40.0f), b(-20.0f, 20.0f), size(0.01f, 30.0f);
  for (int k = 0; k < 20000; ++k) {
    eikonal::Upwind<float> axis[D];
    for (auto& x : axis) x = {a(random), b(random)};
    const float bound = size(random);
    const float v = eikonal::godunov(axis, bound);
    double sum = 0, scale = bound;
    for (auto& x : axis) {
      const double g = std::fmax(0.0, double(x.a) * v - x.b);
      sum += g * g;
      scale = std::fmax(scale, std::fabs(double(x.a) * v) * std::sqrt(bound));
    }
    CHECK(std::fabs(sum - bound) < 2e-5 * scale);
  }
}

static void check_times(int ndim, CpuLevel level) {
  set_cpu_level(level);
  EikonalGrid grid;
  grid.ndim = ndim;
  for (int i = 0; i < ndim; ++i) {
    grid.shape[i] = 19 + 4 * i;
    grid.spacing[i] = 1e-4 * (1 + 0.2 * i);
    grid.origin[i] = -3e-4;
  }
  const std::int64_t size = grid.size(), n = 37;
  const std::vector<float> slowness(size, 1 / 1500.0f);
  std::vector<double> sources(3 * n);
  for (std::int64_t k = 0; k < n; ++k)
    for (int i = 0; i < 3; ++i) sources[3 * k + i] = -3e-4 + 1e-4 * (0.3 * k + i) * 1.4;
  std::vector<float> out(n * size);
  eikonal_points(Cpu{2}, grid, EikonalParams{20, 1 / 1400.0}, View<const float, 1>{slowness.data(), {size}},
                 View<const double, 2>{sources.data(), {n, 3}}, false, View<float, 2>{out.data(), {n, size}});
  double worst = 0;
  for (std::int64_t k = 0; k < n; ++k)
    for (std::int64_t node = 0; node < size; ++node) {
      std::int64_t rest = node;
      double r2 = 0;
      for (int i = ndim - 1; i >= 0; --i) {
        const double x = grid.origin[i] + (rest % grid.shape[i]) * grid.spacing[i];
        rest /= grid.shape[i];
        r2 += std::pow(x - sources[3 * k + (ndim == 2 && i == 1 ? 2 : i)], 2);
      }
      worst = std::fmax(worst, std::fabs(out[k * size + node] - std::sqrt(r2) / 1500.0));
    }
  CHECK(worst < 2e-12);
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
  EikonalGrid grid;
  grid.shape[0] = grid.shape[1] = 8;
  grid.spacing[0] = grid.spacing[1] = 1e-4;
  const std::vector<float> slowness(64, 1e-3f);
  std::vector<float> out(64);
  const double outside[3] = {1.0, 0.0, 0.0}, bad[3] = {std::numeric_limits<double>::quiet_NaN(), 0.0, 0.0};
  const double inside[3] = {};
  const auto solve = [&](const double* source, std::int64_t medium, std::int64_t nodes) {
    eikonal_points(Cpu{1}, grid, EikonalParams{5, 1e-3}, View<const float, 1>{slowness.data(), {medium}},
                   View<const double, 2>{source, {1, 3}}, false, View<float, 2>{out.data(), {1, nodes}});
  };
  CHECK(refused([&] { solve(outside, 64, 64); }));
  CHECK(refused([&] { solve(bad, 64, 64); }));
  CHECK(refused([&] { solve(inside, 63, 64); }));
  CHECK(refused([&] { solve(inside, 64, 63); }));
  CHECK(!refused([&] { solve(inside, 64, 64); }));
}

int main() {
  check_godunov<2>();
  check_godunov<3>();
  for (CpuLevel level : {CpuLevel::baseline, CpuLevel::v3, CpuLevel::v4})
    for (int ndim : {2, 3}) check_times(ndim, level);
  check_refusals();
  return failures ? 1 : 0;
}
