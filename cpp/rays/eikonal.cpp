#include "rays/eikonal.h"

#include <algorithm>
#include <cmath>

#include "core/dispatch.h"
#include "core/error.h"
#include "rays/eikonal_checks.h"
#include "rays/eikonal_groups.h"
#include "rays/eikonal_kernel.h"
#include "rays/eikonal_sweep.h"

namespace sonoray {
namespace {

using namespace eikonal;

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
