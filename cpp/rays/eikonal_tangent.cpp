#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include "core/dispatch.h"
#include "rays/eikonal.h"
#include "rays/eikonal_checks.h"
#include "rays/eikonal_groups.h"
#include "rays/eikonal_kernel.h"
#include "rays/eikonal_tangent_sweep.h"

namespace sonoray {
namespace {

using namespace eikonal;

constexpr std::int64_t most_parts = 16;  // images that are summed at the end
constexpr std::int64_t nodes_at_once = 4096;

/// Scratch of one thread: a solved group and what goes with it.
struct TangentWorker {
  TangentWorker(const Setup& setup, int lane_count)
      : solved(setup, lane_count), field(setup.nodes * lane_count), tiles(new std::uint8_t[2 * setup.tiles]) {
    tangent.field = field.data();
    tangent.quadrants = tiles.get();
    tangent.pending = tiles.get() + setup.tiles;
  }
  Worker solved;
  Aligned<float> field;
  std::unique_ptr<std::uint8_t[]> tiles;
  TangentLanes tangent{};
};

/// The sources of a call and how they are grouped.
struct Call {
  Call(const EikonalGrid& grid, const EikonalParams& p, View<const float, 1> slowness, View<const double, 2> s,
       bool mean_slowness, View<const float, 2> field)
      : setup(grid, p, slowness),
        params(p),
        sources(s),
        mean(mean_slowness),
        solution(field),
        vectors(vectors_for(s.shape[0])),
        lane_count(lanes_of_level(vectors)),
        groups((s.shape[0] + lane_count - 1) / lane_count) {}

  std::int64_t first(std::int64_t group) const { return group * lane_count; }
  int count(std::int64_t group) const {
    return static_cast<int>(std::min<std::int64_t>(lane_count, sources.shape[0] - first(group)));
  }
  double scale() const { return mean ? setup.unit : setup.unit * setup.length; }

  /// f(lane, place in the padded field, node of the grid, distance from the lane's source) for all nodes: a row for all
  /// lanes, then the next, since what lanes have at a node lies together.
  template <class F>
  void for_each_node(const Lanes& lanes, int n_lanes, const F& f) const {
    const EikonalGrid& g = setup.grid;
    const int last = g.ndim - 1;
    const std::int64_t nz = g.shape[last], rows = g.size() / nz;
    for (std::int64_t row = 0; row < rows; ++row) {
      const std::int64_t index[3] = {g.ndim == 3 ? row / g.shape[1] : row, g.ndim == 3 ? row % g.shape[1] : 0, 0};
      const std::int64_t to = setup.node(index) * lane_count;
      for (int lane = 0; lane < n_lanes; ++lane) {
        float across = 0;
        for (int i = 0; i < last; ++i) {
          const float d = index[i] * setup.sweep.h[i] - lanes.position[i][lane];
          across += d * d;
        }
        for (std::int64_t z = 0; z < nz; ++z) {
          const float d = z * setup.sweep.h[last] - lanes.position[last][lane];
          f(lane, to + z * lane_count + lane, row * nz + z, std::sqrt(across + d * d));
        }
      }
    }
  }

  void solve(std::int64_t group, Worker& worker) const;
  void gradient(std::int64_t group, View<const float, 2> cotangent, double largest, TangentWorker&,
                double* image) const;
  void derivative(std::int64_t group, const float* change, double largest, TangentWorker&) const;

  const Setup setup;
  const EikonalParams& params;
  const View<const double, 2> sources;
  const bool mean;
  const View<const float, 2> solution;
  const int vectors, lane_count;
  const std::int64_t groups;
};

/// Solves a group, or takes the solution that is known.
void Call::solve(std::int64_t group, Worker& worker) const {
  if (!solution) return solve_points(setup, params, sources, first(group), count(group), vectors, lane_count, worker);
  Lanes& lanes = worker.lanes;
  lanes.kind = Kind::point;
  lanes.max_rounds = params.max_rounds;
  std::fill_n(lanes.v, setup.nodes * lane_count, unreached);
  const auto source = [&](int lane) { return first(group) + std::min(lane, count(group) - 1); };
  double s0[max_lanes];
  for (int lane = 0; lane < lane_count; ++lane)
    s0[lane] = sample(setup.grid, setup.slowness.data, Start(setup.grid, sources, source(lane)).source);
  for_each_node(lanes, lane_count, [&](int lane, std::int64_t to, std::int64_t node, float) {
    const double mean = solution(source(lane), node);
    lanes.v[to] = not_given(static_cast<float>((mean - s0[lane]) / setup.unit));
  });
  for (int lane = 0; lane < lane_count; ++lane)
    start_point(setup, Start(setup.grid, sources, source(lane)), lane, lane_count, lanes);
}

void Call::gradient(std::int64_t group, View<const float, 2> cotangent, double largest, TangentWorker& worker,
                    double* image) const {
  solve(group, worker.solved);
  Lanes& lanes = worker.solved.lanes;
  TangentLanes& tangent = worker.tangent;
  std::fill_n(tangent.field, setup.nodes * lane_count, 0.0f);
  std::fill_n(tangent.source, lane_count, 0.0);
  tangent.gradient = image;
  const float part = static_cast<float>(1 / largest);
  for_each_node(lanes, count(group), [&](int lane, std::int64_t to, std::int64_t node, float distance) {
    const float value = cotangent(first(group) + lane, node) * part * (mean ? 1.0f : distance);
    tangent.field[to] = value;
    tangent.source[lane] += value;
  });
  SONORAY_DISPATCH(eikonal_push, setup.sweep, lanes, tangent, vectors);
  const float* const s = setup.slowness.data;
  for (int lane = 0; lane < count(group); ++lane) {
    const Start start(setup.grid, sources, first(group) + lane);
    double left = tangent.source[lane];
    const auto add = [&](const double* at, double weight) {
      for_each_corner(setup.grid, at, [&](std::int64_t node, double part) {
        image[setup.padded(node)] += weight * part * s[node] / setup.unit;
      });
    };
    start.for_each_node([&](const std::int64_t* at) {
      const double mine = tangent.field[setup.node(at) * lane_count + lane];
      left -= mine;
      for_each_part(setup.grid, start.source, at, [&](const double* p) { add(p, mine / straight_parts); });
    });
    add(start.source, left);
  }
}

/// Leaves changes of v in the field and those of s0 beside it.
void Call::derivative(std::int64_t group, const float* change, double largest, TangentWorker& worker) const {
  solve(group, worker.solved);
  TangentLanes& tangent = worker.tangent;
  std::fill_n(tangent.field, setup.nodes * lane_count, 0.0f);
  for (int lane = 0; lane < lane_count; ++lane) {
    const Start start(setup.grid, sources, first(group) + std::min(lane, count(group) - 1));
    const double unit = setup.unit * largest, s0 = sample(setup.grid, change, start.source);
    tangent.change[lane] = static_cast<float>(s0 / unit);
    start.for_each_node([&](const std::int64_t* at) {
      tangent.field[setup.node(at) * lane_count + lane] =
          static_cast<float>((straight_mean(setup.grid, change, start.source, at) - s0) / unit);
    });
  }
  SONORAY_DISPATCH(eikonal_carry, setup.sweep, worker.solved.lanes, tangent, vectors);
}

}  // namespace

template <>
void eikonal_gradient(const Cpu& exec, const EikonalGrid& grid, const EikonalParams& params,
                      View<const float, 1> slowness, View<const double, 2> sources, bool mean_slowness,
                      View<const float, 2> solution, View<const float, 2> cotangent, View<double, 1> out) {
  check_gradient(grid, params, slowness, sources, solution, cotangent, out);
  float largest = 0;
  for (std::int64_t i = 0; i < cotangent.size(); ++i) largest = std::max(largest, std::fabs(cotangent.data[i]));
  std::fill_n(out.data, out.size(), 0.0);
  if (largest == 0) return;
  const Call call(grid, params, slowness, sources, mean_slowness, solution);
  const std::int64_t parts = std::min(call.groups, most_parts);
  std::vector<std::vector<double>> images(parts);
  for_each(exec, parts, [&](std::int64_t part) {
    images[part].assign(call.setup.nodes, 0.0);
    TangentWorker worker(call.setup, call.lane_count);
    for (std::int64_t group = part; group < call.groups; group += parts)
      call.gradient(group, cotangent, largest, worker, images[part].data());
  });
  const double scale = call.scale() * largest;
  const auto collect = [&](std::int64_t node) {
    double sum = 0;
    for (const std::vector<double>& image : images) sum += image[call.setup.padded(node)];
    out(node) = sum * scale / slowness(node);
  };
  for_each(exec, grid.size(), collect, nodes_at_once);
}

template <>
void eikonal_derivative(const Cpu& exec, const EikonalGrid& grid, const EikonalParams& params,
                        View<const float, 1> slowness, View<const double, 2> sources, bool mean_slowness,
                        View<const float, 2> solution, View<const float, 1> change, View<float, 2> out) {
  check_derivative(grid, params, slowness, sources, solution, change, out);
  double largest = 0;
  for (std::int64_t i = 0; i < change.size(); ++i)
    largest = std::max(largest, std::fabs(static_cast<double>(change(i)) / slowness(i)));
  std::fill_n(out.data, out.size(), 0.0f);
  if (largest == 0) return;
  const Call call(grid, params, slowness, sources, mean_slowness, solution);
  std::vector<float> relative(call.setup.nodes, 0.0f);
  for (std::int64_t i = 0; i < grid.size(); ++i)
    relative[call.setup.padded(i)] = static_cast<float>(change(i) / (slowness(i) * largest));
  for_each_group<TangentWorker>(exec, call.setup, sources.shape[0],
                                [&](TangentWorker& worker, std::int64_t first, int count, int vectors, int lane_count) {
                                  worker.tangent.relative = relative.data();
                                  call.derivative(first / lane_count, change.data, largest, worker);
                                  Lanes changes = worker.solved.lanes;
                                  changes.v = worker.tangent.field;
                                  std::copy_n(worker.tangent.change, lane_count, changes.slope[0]);
                                  SONORAY_DISPATCH(eikonal_finish, call.setup.sweep, changes, vectors, count,
                                                   static_cast<float>(call.scale() * largest), mean_slowness,
                                                   out.data + first * out.shape[1]);
                                });
}

}  // namespace sonoray
