#include "rays/eikonal.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "core/dispatch.h"
#include "core/error.h"
#include "core/for_each.h"
#include "rays/eikonal_checks.h"
#include "rays/eikonal_kernel.h"
#include "rays/eikonal_sweep.h"

namespace sonoray {
namespace {

using namespace eikonal;

/// Memory for vectors; large fields come untouched from the system.
template <class T>
class Aligned {
 public:
  explicit Aligned(std::int64_t n) : data_(static_cast<T*>(std::aligned_alloc(64, (n * sizeof(T) + 63) / 64 * 64))) {
    if (!data_) throw std::bad_alloc();
  }
  ~Aligned() { std::free(data_); }
  Aligned(const Aligned&) = delete;
  Aligned& operator=(const Aligned&) = delete;
  T* data() const { return data_; }

 private:
  T* data_;
};

int lanes_of_level(int vectors) {
  int lanes = 0;
  auto ask = [&](int n) { lanes = n; };
#if defined(SONORAY_HAS_LEVELS)
  switch (cpu_level()) {
    case CpuLevel::v4:
      ask(SONORAY_TOP::eikonal_lanes(vectors));
      break;
    case CpuLevel::v3:
      ask(v3::eikonal_lanes(vectors));
      break;
    default:
      ask(baseline::eikonal_lanes(vectors));
  }
#else
  ask(baseline::eikonal_lanes(vectors));
#endif
  return lanes;
}

/// What all groups share: the padded medium, scaled, and the layout of fields and tiles.
struct Setup {
  Setup(const EikonalGrid& grid, const EikonalParams& params, View<const float, 1> slowness);

  std::int64_t node(const std::int64_t* index) const {
    std::int64_t k = 0;
    for (int i = 0; i < sweep.ndim; ++i) k += (index[i] + halo) * sweep.stride[i];
    return k;
  }

  const EikonalGrid& grid;
  View<const float, 1> slowness;
  double length, unit;  ///< [m] and [s/m] that the scaled problem counts in
  SweepGrid sweep{};
  std::int64_t nodes = 1, tiles = 1;
  std::vector<float> squared;
};

Setup::Setup(const EikonalGrid& g, const EikonalParams& params, View<const float, 1> s)
    : grid(g), slowness(s), length(diagonal(g)), unit(params.max_slowness) {
  sweep.ndim = g.ndim;
  const int tile2[2] = {16, 16}, tile3[3] = {8, 8, 32};
  for (int i = g.ndim - 1; i >= 0; --i) {
    sweep.n[i] = static_cast<int>(g.shape[i]);
    sweep.tile[i] = g.ndim == 2 ? tile2[i] : tile3[i];
    sweep.tiles[i] = (sweep.n[i] + sweep.tile[i] - 1) / sweep.tile[i];
    sweep.stride[i] = nodes;
    sweep.h[i] = static_cast<float>(g.spacing[i] / length);
    nodes *= g.shape[i] + 2 * halo;
    tiles *= sweep.tiles[i];
  }
  squared.assign(nodes, 1.0f);
  const std::int64_t nz = g.shape[g.ndim - 1], rows = g.size() / nz;
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t index[3] = {g.ndim == 3 ? row / g.shape[1] : row, g.ndim == 3 ? row % g.shape[1] : 0, 0};
    const std::int64_t first = node(index);
    for (std::int64_t z = 0; z < nz; ++z) {
      const double value = s.data[row * nz + z] / unit;
      squared[first + z] = static_cast<float>(value * value);
    }
  }
  sweep.squared_slowness = squared.data();
}

/// Scratch of one thread: the field of one group and the state of its tiles.
struct Worker {
  Worker(const Setup& setup, int lane_count)
      : field(setup.nodes * lane_count), tiles(new std::uint8_t[3 * setup.tiles]) {
    lanes.v = field.data();
    lanes.sides = tiles.get();
    lanes.pending = tiles.get() + setup.tiles;
    lanes.fresh = tiles.get() + 2 * setup.tiles;
  }
  Aligned<float> field;
  std::unique_ptr<std::uint8_t[]> tiles;
  Lanes lanes{};
};

/// Waves run away from the sources: to the right of the leftmost source, to the left of the rightmost, and so on.
void guess_sides(const Setup& setup, const double (*low)[3], const double (*high)[3], Lanes& lanes) {
  for (std::int64_t t = 0; t < setup.tiles; ++t) {
    std::int64_t rest = t;
    unsigned sides = 0;
    for (int i = setup.sweep.ndim - 1; i >= 0; --i) {
      const int first = static_cast<int>(rest % setup.sweep.tiles[i]) * setup.sweep.tile[i];
      rest /= setup.sweep.tiles[i];
      if (first + setup.sweep.tile[i] - 1 >= std::floor((*low)[i])) sides |= 1u << (2 * i);
      if (first <= std::ceil((*high)[i])) sides |= 2u << (2 * i);
    }
    lanes.sides[t] = static_cast<std::uint8_t>(sides);
  }
}

/// Nodes so close to a source that the ray is straight: their mean slowness is integrated.
void start_point(const Setup& setup, const double* source, int lane, int lane_count, double reach, Lanes& lanes) {
  const EikonalGrid& g = setup.grid;
  const double s0 = sample(g, setup.slowness.data, source);
  std::int64_t low[3] = {}, high[3] = {};
  for (int i = 0; i < g.ndim; ++i) {
    const double cells = reach / g.spacing[i];
    low[i] = std::max<std::int64_t>(0, static_cast<std::int64_t>(std::ceil(source[i] - cells)));
    high[i] = std::min<std::int64_t>(g.shape[i] - 1, static_cast<std::int64_t>(std::floor(source[i] + cells)));
    lanes.position[i][lane] = static_cast<float>(source[i] * g.spacing[i] / setup.length);
  }
  lanes.slope[0][lane] = static_cast<float>(s0 / setup.unit);
  std::int64_t at[3];
  for (at[0] = low[0]; at[0] <= high[0]; ++at[0])
    for (at[1] = low[1]; at[1] <= high[1]; ++at[1])
      for (at[2] = low[2]; at[2] <= high[2]; ++at[2])
        lanes.v[setup.node(at) * lane_count + lane] =
            given(static_cast<float>((straight_mean(g, setup.slowness.data, source, at) - s0) / setup.unit));
}

/// One group of at most `lane_count` point sources; surplus lanes repeat the last one.
void solve_points(const Setup& setup, const EikonalParams& params, View<const double, 2> sources, std::int64_t first,
                  int count, int vectors, int lane_count, Worker& worker) {
  const EikonalGrid& g = setup.grid;
  Lanes& lanes = worker.lanes;
  const double reach = start_reach * *std::max_element(g.spacing, g.spacing + g.ndim);
  lanes.kind = Kind::point;
  lanes.max_rounds = params.max_rounds;
  std::fill_n(lanes.v, setup.nodes * lane_count, unreached);
  double low[3], high[3];
  for (int lane = 0; lane < lane_count; ++lane) {
    double source[3] = {};
    for (int i = 0; i < g.ndim; ++i) {
      const double position = sources(first + std::min(lane, count - 1), g.ndim == 2 && i == 1 ? 2 : i);
      source[i] = std::clamp((position - g.origin[i]) / g.spacing[i], 0.0, static_cast<double>(g.shape[i] - 1));
      low[i] = lane ? std::min(low[i], source[i]) : source[i];
      high[i] = lane ? std::max(high[i], source[i]) : source[i];
    }
    start_point(setup, source, lane, lane_count, reach, lanes);
  }
  guess_sides(setup, &low, &high, lanes);
  for (int i = 0; i < g.ndim; ++i) {
    lanes.seed[0][i] = static_cast<int>(low[i]) / setup.sweep.tile[i];
    lanes.seed[1][i] = static_cast<int>(high[i]) / setup.sweep.tile[i];
  }
  SONORAY_DISPATCH(eikonal_solve, setup.sweep, lanes, vectors);
}

/// One group of fronts: what is given becomes odd in its last bit, what is not starts as unreached.
void solve_fronts(const Setup& setup, const EikonalParams& params, View<const double, 2> reference,
                  View<float, 2> times, std::int64_t first, int count, int lane_count, int vectors, Worker& worker) {
  const EikonalGrid& g = setup.grid;
  Lanes& lanes = worker.lanes;
  lanes.kind = Kind::front;
  lanes.max_rounds = params.max_rounds;
  std::fill_n(lanes.v, setup.nodes * lane_count, unreached);
  std::fill_n(lanes.sides, setup.tiles, static_cast<std::uint8_t>((1 << 2 * g.ndim) - 1));
  for (int i = 0; i < g.ndim; ++i) {
    lanes.seed[0][i] = 0;
    lanes.seed[1][i] = setup.sweep.tiles[i] - 1;
  }
  const std::int64_t nz = g.shape[g.ndim - 1], rows = g.size() / nz;
  for (int lane = 0; lane < lane_count; ++lane) {
    const std::int64_t front = first + std::min(lane, count - 1);
    double p[3] = {};
    for (int i = 0; i < g.ndim; ++i) {
      p[i] = reference(front, g.ndim == 2 && i == 1 ? 2 : i);
      lanes.position[i][lane] = 0.0f;
      lanes.slope[i][lane] = static_cast<float>(p[i] / setup.unit);
    }
    for (std::int64_t row = 0; row < rows; ++row) {
      const std::int64_t index[3] = {g.ndim == 3 ? row / g.shape[1] : row, g.ndim == 3 ? row % g.shape[1] : 0, 0};
      double base = 0;
      for (int i = 0; i + 1 < g.ndim; ++i) base += p[i] * index[i] * g.spacing[i];
      float* const to = lanes.v + setup.node(index) * lane_count + lane;
      const float* const from = times.data + front * g.size() + row * nz;
      for (std::int64_t z = 0; z < nz; ++z) {
        if (std::isnan(from[z])) continue;
        const double rest = from[z] - base - p[g.ndim - 1] * z * g.spacing[g.ndim - 1];
        to[z * lane_count] = given(static_cast<float>(rest / (setup.unit * setup.length)));
      }
    }
  }
  SONORAY_DISPATCH(eikonal_solve, setup.sweep, lanes, vectors);
}

/// f(worker, first, count, vectors, lanes) for groups of `n` sources, spread over threads.
template <class F>
void for_each_group(const Cpu& exec, const Setup& setup, std::int64_t n, const F& f) {
  const int vectors = n > lanes_of_level(1) ? 2 : 1;
  const int lane_count = lanes_of_level(vectors);
  const std::int64_t groups = (n + lane_count - 1) / lane_count;
  std::atomic<std::int64_t> next{0};
  for_each(exec, std::min<std::int64_t>(groups, thread_count(exec)), [&](std::int64_t) {
    std::unique_ptr<Worker> worker;
    for (std::int64_t group; (group = next++) < groups;) {
      if (!worker) worker = std::make_unique<Worker>(setup, lane_count);
      const std::int64_t first = group * lane_count;
      f(*worker, first, static_cast<int>(std::min<std::int64_t>(lane_count, n - first)), vectors, lane_count);
    }
  });
}

}  // namespace

template <>
void eikonal_points(const Cpu& exec, const EikonalGrid& grid, const EikonalParams& params,
                    View<const float, 1> slowness, View<const double, 2> sources, bool mean_slowness,
                    View<float, 2> out) {
  check_grid(grid, params, slowness.size());
  check_sources(grid, sources);
  require(out.shape[0] == sources.shape[0] && out.shape[1] == grid.size(), "out: expected (sources, nodes)");
  const Setup setup(grid, params, slowness);
  for_each_group(exec, setup, sources.shape[0],
                 [&](Worker& worker, std::int64_t first, int count, int vectors, int lane_count) {
                   solve_points(setup, params, sources, first, count, vectors, lane_count, worker);
                   const double scale = mean_slowness ? setup.unit : setup.unit * setup.length;
                   SONORAY_DISPATCH(eikonal_finish, setup.sweep, worker.lanes, vectors, count,
                                    static_cast<float>(scale), mean_slowness, out.data + first * out.shape[1]);
                 });
}

template <>
void eikonal_fronts(const Cpu& exec, const EikonalGrid& grid, const EikonalParams& params,
                    View<const float, 1> slowness, View<const double, 2> reference, View<float, 2> times) {
  check_grid(grid, params, slowness.size());
  check_reference(reference, params);
  require(times.shape[0] == reference.shape[0] && times.shape[1] == grid.size(), "times: expected (fronts, nodes)");
  const Setup setup(grid, params, slowness);
  for_each_group(
      exec, setup, reference.shape[0], [&](Worker& worker, std::int64_t first, int count, int vectors, int lane_count) {
        solve_fronts(setup, params, reference, times, first, count, lane_count, vectors, worker);
        SONORAY_DISPATCH(eikonal_finish, setup.sweep, worker.lanes, vectors, count,
                         static_cast<float>(setup.unit * setup.length), false, times.data + first * times.shape[1]);
      });
}

}  // namespace sonoray
