#include "rays/eikonal_sweep.h"

#include "rays/eikonal_kernel.h"
#include "rays/eikonal_lanes.h"

namespace sonoray::eikonal {
namespace SONORAY_LEVEL {
namespace {

/// What a tile's sweep found: a change above the tolerance, and (first pass) axes along which the wave also comes
/// from the other side; or (second pass) nodes left to other sweeps by so little that changes may bring them back.
struct Found {
  bool changed = false;
  bool turned[3] = {};
  bool close = false;
};

/// What has been seen so far, lane by lane.
template <int D, int NV>
struct Seen {
  Vec largest[NV] = {};  ///< change
  Mask turned[D][NV] = {}, close = {};

  SONORAY_INLINE Found found(float tolerance) const {
    Found found;
    Mask moved = {};
    for (int k = 0; k < NV; ++k) moved |= largest[k] > tolerance;
    found.changed = any(moved);
    found.close = any(close);
    for (int i = 0; i < D; ++i) {
      Mask m = {};
      for (int k = 0; k < NV; ++k) m |= turned[i][k];
      found.turned[i] = any(m);
    }
    return found;
  }
};

/// One node, lanes of vector k; up1 and up2 are the last two values along the last axis. Returns the new value.
/// The first pass takes the smallest value that several sweeps bring. Such a value may come too early, extrapolated
/// from a neighbour that was still late, which no minimum repairs; so where one sweep alone brings waves its last value
/// counts, and the second pass takes, where waves come from both sides, what the sweep of the node's own side brings,
/// by the sign of the central difference.
template <int D, int NV, Kind kind, bool second>
SONORAY_INLINE Vec update(const Way<D>& way, const Reference<D, NV, kind>& ref, Seen<D, NV>& seen, int k, float* at,
                          Vec scale, float squared_slowness, Vec up1, Vec up2) {
  constexpr int last = D - 1, lane_count = NV * width;
  const Vec old = load(at), bound = scale * squared_slowness;
  Upwind<Vec> axis[D];
  Vec near[D];
  Mask take = ((Mask)old & 1) == 0;  // not given
  for (int i = 0; i < D; ++i) {
    near[i] = i == last ? up1 : load(at - way.step[i] * lane_count);
    const Vec far = i == last ? up2 : load(at - 2 * way.step[i] * lane_count), kk = scale * way.k1[i];
    if constexpr (second) {
      // Relative to the old value: rounding is then that of the correction, not of v.
      const Vec lean = ref.slope[i][k] + ref.along[i][k] * old;
      const Vec rate = central(kk, lean, near[i], load(at + way.step[i] * lane_count));
      const Vec square = rate * Math<Vec>::abs(rate);
      take &= square >= bound * -way.slack[i];
      seen.close |= (square < 0.0f) & (square > bound * -way.near_tie[i]);
      axis[i] = second_order(kk, ref.along[i][k], lean, near[i] - old, far - old, bound);
    } else {
      axis[i] = second_order(kk, ref.along[i][k], ref.slope[i][k], near[i], far, bound);
    }
  }
  Vec value = godunov(axis, bound);
  if constexpr (second) value += old;
  const Mask bits = (Mask)value;
  value = (Vec)((bits + (bits >> 1 & 1)) & ~1);  // not_given(value)
  if constexpr (!second) take &= (value < old) | way.replace;
  value = take ? value : old;
  const Vec change = Math<Vec>::abs(value - old);
  seen.largest[k] = change > seen.largest[k] ? change : seen.largest[k];
  if constexpr (!second)
    for (int i = 0; i < D; ++i) seen.turned[i][k] |= (axis[i].a * value < axis[i].b) & (near[i] < 0.5f * unreached);
  store(at, value);
  return value;
}

/// One tile, nodes [low, high), in the order of sweep q.
template <int D, int NV, Kind kind, bool second>
Found sweep_tile(const SweepGrid& g, const Lanes& lanes, int q, std::uint8_t sides, const int* low, const int* high,
                 float tolerance) {
  constexpr int last = D - 1, lane_count = NV * width;
  const Way<D> way(g, q, sides);
  Reference<D, NV, kind> ref(lanes, way);
  Seen<D, NV> seen;
  const int rows[2] = {high[0] - low[0], D == 3 ? high[1] - low[1] : 1}, length = high[last] - low[last];
  const int first_z = way.down[last] ? high[last] - 1 : low[last], step_z = way.down[last] ? -1 : 1;
  for (int row = 0; row < rows[0] * rows[1]; ++row) {
    const int in[2] = {row / rows[1], row % rows[1]};
    std::int64_t node = first_z + halo;
    float across[2];
    for (int i = 0; i < last; ++i) {
      const int at = way.down[i] ? high[i] - 1 - in[i] : low[i] + in[i];
      node += (at + halo) * g.stride[i];
      across[i] = at * g.h[i];
    }
    ref.enter_row(lanes, way, across);
    Vec up1[NV], up2[NV];
    for (int k = 0; k < NV; ++k) {
      up1[k] = load(lanes.v + (node - step_z) * lane_count + k * width);
      up2[k] = load(lanes.v + (node - 2 * step_z) * lane_count + k * width);
    }
    for (int z = 0; z < length; ++z, node += step_z)
      for (int k = 0; k < NV; ++k) {
        const Vec scale = ref.enter_node(way, k, (first_z + step_z * z) * g.h[last]);
        const Vec value = update<D, NV, kind, second>(way, ref, seen, k, lanes.v + node * lane_count + k * width, scale,
                                                      g.squared_slowness[node], up1[k], up2[k]);
        up2[k] = up1[k];
        up1[k] = value;
      }
  }
  return seen.found(tolerance);
}

/// Whether sweep q is one of those that bring waves into a tile with these sides.
SONORAY_INLINE bool concerns(std::uint8_t sides, int q, int ndim) {
  for (int i = 0; i < ndim; ++i)
    if (!(sides >> (2 * i + (q >> i & 1)) & 1)) return false;
  return true;
}

/// Notes what a tile's sweep means for itself and its neighbours.
void spread(const SweepGrid& g, Lanes& lanes, int q, const int* t, std::int64_t tile, const Found& found, bool second) {
  const std::uint8_t all = static_cast<std::uint8_t>((1 << (1 << g.ndim)) - 1);
  const std::uint8_t others = static_cast<std::uint8_t>(all & ~(1 << q));
  const std::int64_t stride[3] = {g.ndim == 3 ? std::int64_t(g.tiles[1]) * g.tiles[2] : g.tiles[1],
                                  g.ndim == 3 ? g.tiles[2] : 1, 1};
  if (found.changed) lanes.pending[tile] |= found.close ? all : others;
  if (found.changed && !second) lanes.fresh[tile] = 1;
  for (int i = 0; i < g.ndim; ++i) {
    const int back = q >> i & 1;
    const std::uint8_t other_side = static_cast<std::uint8_t>(1 << (2 * i + 1 - back));
    for (int way = 0; way < 2; ++way) {  // way 0: where this sweep came from, 1: where it goes to
      const int to = t[i] + ((way ^ back) ? 1 : -1);
      if (to < 0 || to >= g.tiles[i]) continue;
      const std::int64_t near = tile + (to - t[i]) * stride[i];
      if (found.changed) {
        lanes.pending[near] |= way ? all : others;
        if (way && !second)
          for (int j = 0; j < g.ndim; ++j) lanes.sides[near] |= static_cast<std::uint8_t>(1 << (2 * j + (q >> j & 1)));
      }
      if (!way && found.turned[i] && !(lanes.sides[near] & other_side)) {
        lanes.sides[near] |= other_side;
        lanes.pending[near] |= others;
        lanes.fresh[near] = 1;
      }
    }
    if (found.turned[i] && !(lanes.sides[tile] & other_side)) {
      lanes.sides[tile] |= other_side;
      lanes.pending[tile] |= others;
      lanes.fresh[tile] = 1;
    }
  }
}

/// Whether waves come from both sides along any axis.
SONORAY_INLINE bool two_sided(std::uint8_t sides, int ndim) {
  for (int i = 0; i < ndim; ++i)
    if ((sides >> (2 * i) & 3) == 3) return true;
  return false;
}

/// Sweeps until no tile of the window has anything new to look at.
template <int D, int NV, Kind kind, bool second>
void iterate(const SweepGrid& g, Lanes& lanes, const Window& window) {
  float tolerance = second ? second_tolerance : first_tolerance;
  for (int round = 0; round < lanes.max_rounds; ++round) {
    bool busy = false;
    for (int q = 0; q < (1 << D); ++q)
      for_each_tile<D>(g, window, q, [&](std::int64_t tile, const int* t) {
        if (!(lanes.pending[tile] >> q & 1) || !concerns(lanes.sides[tile], q, D)) return;
        int low[3], high[3];
        for (int i = 0; i < D; ++i) {
          low[i] = t[i] * g.tile[i];
          high[i] = low[i] + g.tile[i] < g.n[i] ? low[i] + g.tile[i] : g.n[i];
        }
        lanes.pending[tile] &= static_cast<std::uint8_t>(~(1 << q));
        const Found found = sweep_tile<D, NV, kind, second>(g, lanes, q, lanes.sides[tile], low, high, tolerance);
        spread(g, lanes, q, t, tile, found, second);
        busy = true;
      });
    if (!busy) break;
    if (second && tolerance < largest_tolerance) tolerance *= 2.0f;
  }
}

/// Both passes in windows that grow from the sources: what is settled near them is not revisited by every round far
/// away. Where waves come from one side only, the first pass has met every node after those before it, and the second
/// one looks only at what has changed since.
template <int D, int NV, Kind kind>
void solve(const SweepGrid& g, Lanes& lanes) {
  const std::uint8_t all = static_cast<std::uint8_t>((1 << (1 << D)) - 1);
  std::int64_t count = 1;
  for (int i = 0; i < D; ++i) count *= g.tiles[i];
  for (std::int64_t t = 0; t < count; ++t) {
    lanes.pending[t] = all;
    lanes.fresh[t] = 1;
  }
  bool whole = false;
  for (int margin = 1; !whole; margin *= 2) {
    Window window;
    whole = true;
    for (int i = 0; i < D; ++i) {
      window.low[i] = lanes.seed[0][i] > margin ? lanes.seed[0][i] - margin : 0;
      window.high[i] = lanes.seed[1][i] + margin < g.tiles[i] ? lanes.seed[1][i] + margin + 1 : g.tiles[i];
      whole = whole && window.low[i] == 0 && window.high[i] == g.tiles[i];
    }
    iterate<D, NV, kind, false>(g, lanes, window);
    for_each_tile<D>(g, window, 0, [&](std::int64_t tile, const int*) {
      lanes.pending[tile] = lanes.fresh[tile] && two_sided(lanes.sides[tile], D) ? all : 0;
      lanes.fresh[tile] = 0;
    });
    iterate<D, NV, kind, true>(g, lanes, window);
  }
}

template <int D, int NV>
void solve(const SweepGrid& g, Lanes& lanes) {
  lanes.kind == Kind::point ? solve<D, NV, Kind::point>(g, lanes) : solve<D, NV, Kind::front>(g, lanes);
}

}  // namespace

int eikonal_lanes(int vectors) { return vectors * width; }

void eikonal_solve(const SweepGrid& g, Lanes& lanes, int vectors) {
  if (g.ndim == 2)
    vectors == 1 ? solve<2, 1>(g, lanes) : solve<2, 2>(g, lanes);
  else
    vectors == 1 ? solve<3, 1>(g, lanes) : solve<3, 2>(g, lanes);
}

void eikonal_finish(const SweepGrid& g, const Lanes& lanes, int vectors, int count, float scale, bool mean,
                    float* out) {
  const int last = g.ndim - 1, lane_count = vectors * width, block = 64;
  const std::int64_t rows = g.ndim == 3 ? std::int64_t(g.n[0]) * g.n[1] : g.n[0], size = rows * g.n[last];
  alignas(64) float result[block * max_lanes];
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t in[2] = {g.ndim == 3 ? row / g.n[1] : row, g.ndim == 3 ? row % g.n[1] : 0};
    for (int z0 = 0; z0 < g.n[last]; z0 += block) {
      const int n = g.n[last] - z0 < block ? g.n[last] - z0 : block;
      for (int k = 0; k < vectors; ++k) {
        const Vec s0 = load(lanes.slope[0] + k * width), origin = load(lanes.position[last] + k * width);
        Vec across = {}, base = {};
        std::int64_t node = z0 + halo;
        for (int i = 0; i < last; ++i) {
          const Vec d = in[i] * g.h[i] - load(lanes.position[i] + k * width);
          across += d * d;
          base += d * load(lanes.slope[i] + k * width);
          node += (in[i] + halo) * g.stride[i];
        }
        const Vec slope = load(lanes.slope[last] + k * width);
        for (int z = 0; z < n; ++z) {
          const Vec v = load(lanes.v + (node + z) * lane_count + k * width);
          const Vec d = (z0 + z) * g.h[last] - origin;
          Vec value = base + d * slope + v;
          if (lanes.kind == Kind::point) value = mean ? s0 + v : (s0 + v) * Math<Vec>::sqrt(across + d * d);
          store(result + z * lane_count + k * width, value * scale);
        }
      }
      for (int lane = 0; lane < count; ++lane) {
        float* const to = out + lane * size + row * g.n[last] + z0;
        for (int z = 0; z < n; ++z) to[z] = result[z * lane_count + lane];
      }
    }
  }
}

}  // namespace SONORAY_LEVEL
}  // namespace sonoray::eikonal
