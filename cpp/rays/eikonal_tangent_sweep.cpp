#include "rays/eikonal_tangent_sweep.h"

#include "rays/eikonal_kernel.h"
#include "rays/eikonal_lanes.h"

namespace sonoray::eikonal {
namespace SONORAY_LEVEL {
namespace {

SONORAY_INLINE float sum_of(Vec x) {
  float part[width], sum = 0;
  __builtin_memcpy(part, &x, sizeof x);
  for (int half = width / 2; half >= 4; half /= 2)
    for (int i = 0; i < half; ++i) part[i] += part[i + half];
  for (int i = 0; i < 4; ++i) sum += part[i];
  return sum;
}

/// A node as the second pass of the solver sees it in one sweep: relative to its value.
template <int D>
struct Node {
  Upwind<Vec> axis[D];
  Vec k[D], along[D];
  Mask in[D];   ///< the wave does not run across this axis
  Mask member;  ///< the wave comes with this sweep; where it runs across an axis, with either along that axis
};

template <int D, int NV>
SONORAY_INLINE Node<D> look(const Way<D>& way, const Reference<D, NV, Kind::point>& ref, int k, const float* at,
                            Vec scale, float squared_slowness) {
  constexpr int lane_count = NV * width;
  const Vec v = load(at), bound = scale * squared_slowness, edge = bound * tie;
  Node<D> node;
  node.member = ((Mask)v & 1) == 0;  // not given
  for (int i = 0; i < D; ++i) {
    const Vec near = load(at - way.step[i] * lane_count), far = load(at - 2 * way.step[i] * lane_count);
    node.k[i] = scale * way.k1[i];
    node.along[i] = ref.along[i][k];
    const Vec lean = ref.slope[i][k] + ref.along[i][k] * v;
    const Vec rate = central(node.k[i], lean, near, load(at + way.step[i] * lane_count));
    const Vec square = rate * Math<Vec>::abs(rate);
    node.member &= square >= -edge;
    node.in[i] = square > edge;
    node.axis[i] = second_order(node.k[i], node.along[i], lean, near - v, far - v, bound);
  }
  return node;
}

/// Calls f(node of the padded field, vector, address in v, scale) for the nodes of a tile; `reverse` runs against the
/// direction of the sweep.
template <int D, int NV, class F>
SONORAY_INLINE void for_each_node(const SweepGrid& g, const Lanes& lanes, const Way<D>& way, bool reverse,
                                  Reference<D, NV, Kind::point>& ref, const int* t, const F& f) {
  constexpr int last = D - 1, lane_count = NV * width;
  int first[D], n[D], step[D];
  for (int i = 0; i < D; ++i) {
    const int low = t[i] * g.tile[i], high = low + g.tile[i] < g.n[i] ? low + g.tile[i] : g.n[i];
    const bool down = way.down[i] != reverse;
    n[i] = high - low;
    first[i] = down ? high - 1 : low;
    step[i] = down ? -1 : 1;
  }
  const int rows = D == 3 ? n[0] * n[1] : n[0];
  for (int row = 0; row < rows; ++row) {
    const int in[2] = {D == 3 ? row / n[1] : row, D == 3 ? row % n[1] : 0};
    std::int64_t node = first[last] + halo;
    float across[2];
    for (int i = 0; i < last; ++i) {
      const int at = first[i] + step[i] * in[i];
      node += (at + halo) * g.stride[i];
      across[i] = at * g.h[i];
    }
    ref.enter_row(lanes, way, across);
    for (int z = 0; z < n[last]; ++z, node += step[last])
      for (int k = 0; k < NV; ++k) {
        const Vec scale = ref.enter_node(way, k, (first[last] + step[last] * z) * g.h[last]);
        f(node, k, node * lane_count + k * width, scale);
      }
  }
}

/// Which sweeps bring waves into each tile. `loaded`: only tiles with numbers in `field` are pending.
template <int D, int NV>
void find_quadrants(const SweepGrid& g, const Lanes& lanes, TangentLanes& tangent, const Window& all, bool loaded) {
  constexpr int lane_count = NV * width;
  const Way<D> way(g, 0, 0);
  Reference<D, NV, Kind::point> ref(lanes, way);
  for_each_tile<D>(g, all, 0, [&](std::int64_t tile, const int* t) {
    Mask seen = {}, full = {};
    for_each_node<D, NV>(g, lanes, way, false, ref, t, [&](std::int64_t, int k, std::int64_t at, Vec scale) {
      const float* const v = lanes.v + at;
      Mask q = {};
      for (int i = 0; i < D; ++i) {
        const Vec lean = ref.slope[i][k] + ref.along[i][k] * load(v);
        const Vec rate =
            central(scale * way.k1[i], lean, load(v - way.step[i] * lane_count), load(v + way.step[i] * lane_count));
        q |= (rate < 0.0f) & (1 << i);
      }
      const Mask given = -((Mask)load(v) & 1);
      seen |= ((Mask{} + 1) << q) & ~given;
      if (loaded) full |= load(tangent.field + at) != 0.0f;
    });
    std::int32_t lane[width];
    __builtin_memcpy(lane, &seen, sizeof seen);
    std::uint8_t found = 0;
    for (const std::int32_t bits : lane) found |= static_cast<std::uint8_t>(bits);
    tangent.quadrants[tile] = found;
    tangent.pending[tile] = !loaded || any(full) ? found : 0;
  });
}

/// One tile against the waves of sweep q; whether anything was passed on.
template <int D, int NV>
bool push_tile(const SweepGrid& g, const Lanes& lanes, TangentLanes& tangent, int q, const int* t) {
  constexpr int lane_count = NV * width;
  const Way<D> way(g, q, 0);
  Reference<D, NV, Kind::point> ref(lanes, way);
  Vec source[NV] = {};
  Mask moved = {};
  for_each_node<D, NV>(g, lanes, way, true, ref, t, [&](std::int64_t node, int k, std::int64_t at, Vec scale) {
    float* const field = tangent.field + at;
    const Vec mine = load(field);
    if (!any(mine != 0.0f)) return;
    const Node<D> here = look<D, NV>(way, ref, k, lanes.v + at, scale, g.squared_slowness[node]);
    const Vec pass = here.member ? mine : Vec{};
    if (!any(pass != 0.0f)) return;
    const Tangent<D, Vec> change = linearise<D>(here.axis, here.k, here.along, here.in);
    store(field, here.member ? Vec{} : mine);
    moved |= Math<Vec>::abs(pass) > negligible_rest;
    for (int i = 0; i < D; ++i) {
      float* const near = field - way.step[i] * lane_count;
      float* const far = near - way.step[i] * lane_count;
      store(near, load(near) + change.near[i] * pass);
      store(far, load(far) + change.far[i] * pass);
    }
    tangent.gradient[node] += sum_of(change.own * pass);
    source[k] += change.source * pass;
  });
  for (int k = 0; k < NV; ++k)
    for (int lane = 0; lane < width; ++lane) tangent.source[k * width + lane] += source[k][lane];
  return any(moved);
}

/// One tile along the waves of sweep q; whether anything changed.
template <int D, int NV>
bool carry_tile(const SweepGrid& g, const Lanes& lanes, TangentLanes& tangent, int q, const int* t) {
  constexpr int lane_count = NV * width;
  const Way<D> way(g, q, 0);
  Reference<D, NV, Kind::point> ref(lanes, way);
  Mask moved = {};
  for_each_node<D, NV>(g, lanes, way, false, ref, t, [&](std::int64_t node, int k, std::int64_t at, Vec scale) {
    float* const field = tangent.field + at;
    const Node<D> here = look<D, NV>(way, ref, k, lanes.v + at, scale, g.squared_slowness[node]);
    const Tangent<D, Vec> change = linearise<D>(here.axis, here.k, here.along, here.in);
    Vec value = change.own * tangent.relative[node] + change.source * load(tangent.change + k * width);
    for (int i = 0; i < D; ++i) {
      const float* const near = field - way.step[i] * lane_count;
      value += change.near[i] * load(near) + change.far[i] * load(near - way.step[i] * lane_count);
    }
    const Vec old = load(field);
    value = here.member ? value : old;
    moved |= Math<Vec>::abs(value - old) > negligible_change;
    store(field, value);
  });
  return any(moved);
}

/// Notes what a tile's sweep q means: against the waves for the tiles they come from, along them for those they go to.
void spread(const SweepGrid& g, TangentLanes& tangent, int q, const int* t, std::int64_t tile, bool against) {
  tangent.pending[tile] |= tangent.quadrants[tile] & ~(1 << q);
  std::int64_t stride = 1;
  for (int i = g.ndim - 1; i >= 0; stride *= g.tiles[i--])
    for (int back = 0; back < 2; ++back) {  // the neighbour's waves run upwards, downwards along the axis
      if (against && back != (q >> i & 1)) continue;
      const int to = t[i] + ((back != 0) != against ? -1 : 1);
      if (to < 0 || to >= g.tiles[i]) continue;
      const std::int64_t near = tile + (to - t[i]) * stride;
      std::uint8_t concerned = tangent.quadrants[near];
      if (!against)
        for (int other = 0; other < (1 << g.ndim); ++other)
          if ((other >> i & 1) != back) concerned &= static_cast<std::uint8_t>(~(1 << other));
      tangent.pending[near] |= concerned;
    }
}

template <int D, int NV>
void resolve(const SweepGrid& g, const Lanes& lanes, TangentLanes& tangent, bool against) {
  Window all;
  for (int i = 0; i < D; ++i) all.low[i] = 0, all.high[i] = g.tiles[i];
  find_quadrants<D, NV>(g, lanes, tangent, all, against);
  for (int round = 0; round < lanes.max_rounds; ++round) {
    bool busy = false;
    for (int q = 0; q < (1 << D); ++q)
      for_each_tile<D>(g, all, against ? (1 << D) - 1 - q : q, [&](std::int64_t tile, const int* t) {
        if (!(tangent.pending[tile] >> q & 1)) return;
        tangent.pending[tile] &= static_cast<std::uint8_t>(~(1 << q));
        const bool moved =
            against ? push_tile<D, NV>(g, lanes, tangent, q, t) : carry_tile<D, NV>(g, lanes, tangent, q, t);
        if (moved) spread(g, tangent, q, t, tile, against);
        busy = true;
      });
    if (!busy) break;
  }
}

void resolve(const SweepGrid& g, const Lanes& lanes, TangentLanes& tangent, int vectors, bool against) {
  if (g.ndim == 2)
    vectors == 1 ? resolve<2, 1>(g, lanes, tangent, against) : resolve<2, 2>(g, lanes, tangent, against);
  else
    vectors == 1 ? resolve<3, 1>(g, lanes, tangent, against) : resolve<3, 2>(g, lanes, tangent, against);
}

}  // namespace

void eikonal_push(const SweepGrid& g, const Lanes& lanes, TangentLanes& tangent, int vectors) {
  resolve(g, lanes, tangent, vectors, true);
}

void eikonal_carry(const SweepGrid& g, const Lanes& lanes, TangentLanes& tangent, int vectors) {
  resolve(g, lanes, tangent, vectors, false);
}

}  // namespace SONORAY_LEVEL
}  // namespace sonoray::eikonal
