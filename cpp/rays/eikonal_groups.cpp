#include "rays/eikonal_groups.h"

#include <algorithm>
#include <cmath>

#include "core/dispatch.h"
#include "rays/eikonal_checks.h"
#include "rays/eikonal_kernel.h"

namespace sonoray::eikonal {
namespace {

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

}  // namespace

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

Start::Start(const EikonalGrid& g, View<const double, 2> sources, std::int64_t k) {
  const double reach = start_reach * *std::max_element(g.spacing, g.spacing + g.ndim);
  for (int i = 0; i < g.ndim; ++i) {
    const double position = sources(k, g.ndim == 2 && i == 1 ? 2 : i), cells = reach / g.spacing[i];
    source[i] = std::clamp((position - g.origin[i]) / g.spacing[i], 0.0, static_cast<double>(g.shape[i] - 1));
    low[i] = std::max<std::int64_t>(0, static_cast<std::int64_t>(std::ceil(source[i] - cells)));
    high[i] = std::min<std::int64_t>(g.shape[i] - 1, static_cast<std::int64_t>(std::floor(source[i] + cells)));
  }
}

void start_point(const Setup& setup, const Start& start, int lane, int lane_count, Lanes& lanes) {
  const EikonalGrid& g = setup.grid;
  const double s0 = sample(g, setup.slowness.data, start.source);
  for (int i = 0; i < g.ndim; ++i)
    lanes.position[i][lane] = static_cast<float>(start.source[i] * g.spacing[i] / setup.length);
  lanes.slope[0][lane] = static_cast<float>(s0 / setup.unit);
  start.for_each_node([&](const std::int64_t* at) {
    lanes.v[setup.node(at) * lane_count + lane] =
        given(static_cast<float>((straight_mean(g, setup.slowness.data, start.source, at) - s0) / setup.unit));
  });
}

void solve_points(const Setup& setup, const EikonalParams& params, View<const double, 2> sources, std::int64_t first,
                  int count, int vectors, int lane_count, Worker& worker) {
  Lanes& lanes = worker.lanes;
  lanes.kind = Kind::point;
  lanes.max_rounds = params.max_rounds;
  std::fill_n(lanes.v, setup.nodes * lane_count, unreached);
  double low[3], high[3];
  for (int lane = 0; lane < lane_count; ++lane) {
    const Start start(setup.grid, sources, first + std::min(lane, count - 1));
    for (int i = 0; i < setup.grid.ndim; ++i) {
      low[i] = lane ? std::min(low[i], start.source[i]) : start.source[i];
      high[i] = lane ? std::max(high[i], start.source[i]) : start.source[i];
    }
    start_point(setup, start, lane, lane_count, lanes);
  }
  guess_sides(setup, &low, &high, lanes);
  for (int i = 0; i < setup.grid.ndim; ++i) {
    lanes.seed[0][i] = static_cast<int>(low[i]) / setup.sweep.tile[i];
    lanes.seed[1][i] = static_cast<int>(high[i]) / setup.sweep.tile[i];
  }
  SONORAY_DISPATCH(eikonal_solve, setup.sweep, lanes, vectors);
}

}  // namespace sonoray::eikonal
