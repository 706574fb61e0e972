#pragma once
// The field of a point source between the nodes of a fan of its rays.
//
// A fan's rays have nodes at equal arc lengths ("rings"). Rays and rings make a mesh of triangles, each of whose
// corners knows, in double precision, how the field differs from that of a homogeneous medium with n = 1, and by how
// much more it does so beside the node. A point takes from the corners of its triangle, in single precision: what is
// left is small. Near the source only each 2nd, 4th, ... ray has nodes, so that triangles are about as wide as they are
// long.
#include <cstdint>

#include "core/exec.h"
#include "core/lanes.h"
#include "rays/schemes.h"
#include "rays/surfaces.h"

namespace sonoray::greens {

using lanes::same;
using tracing::Scheme;

constexpr int sector = 16;                ///< rays that are traced together; the widest interval between nodes
constexpr double widest_angle = 0.15;     ///< of a triangle, seen from the source [rad]
constexpr int most_halvings = 3;          ///< of a sector's pitch, where rays part
constexpr double most_parted = 3.0;       ///< widths between neighbouring nodes; beyond, rays lie closer
constexpr float largest_focusing = 10;    ///< see focusing_of
constexpr float rounding_margin = 1e-3f;  ///< of a triangle's weights: points on an edge belong to both sides

/// Quantities that points take from nodes. slope_x, slope_z: only a node's derivatives of them, a sixth of the excess's
/// second derivatives.
enum Quantity { excess, tube, take_off, arrival, absorbed, slope_x, slope_z, caustics, quantities };

/// excess [m]: acoustic length less distance. tube: n J / distance. take_off, arrival [rad]: of the ray's direction
/// there from the straight line. caustics: passed on the way.
struct alignas(64) Node {
  float value[quantities];
  float along_x[quantities], along_z[quantities];  ///< first derivatives, times the factor of blend()
  float x, z;                                      ///< from the plan's centre [m]
};

struct Fan {
  double x[2];           ///< source [m]
  double first, pitch;   ///< [rad] direction of the first ray, from x to z, and from one ray to the next
  double widest;         ///< pitch before refined()
  std::int32_t sectors;  ///< there are sectors * sector + 1 rays
};

/// Points in the order of their buckets, the cells of a grid, so that those in a piece of a row follow one another.
struct Buckets {
  float low[2], inverse;  ///< [m] from the plan's centre, [1/m]
  std::int32_t n[2];
  const std::int32_t* start;     ///< (n[0] * n[1] + 1) first point of each bucket
  const float *x, *z;            ///< from the plan's centre [m]
  const std::int32_t* original;  ///< the point's number
  std::int64_t n_points;
};

struct Plan {
  tracing::Medium<2> medium;
  tracing::Surface<2> region;  ///< holds all points and sources
  double margin;               ///< [m] beyond the region nothing is traced
  double step;                 ///< [m]
  int every;                   ///< of a ray's steps one is a node
  int rings;                   ///< nodes of a ray, the source (which is none) included
  double width;                ///< [m] between neighbouring nodes of a ring, in a homogeneous medium at most
  double near;                 ///< [m] to the source: rays are straight there
  double center[2];
  Buckets buckets;

  SONORAY_HD SONORAY_INLINE double ring(int j) const { return step * every * j; }
};

/// The fan with rays that lie closer by 2^level: its sector s takes the place of sector s / 2^level.
SONORAY_HD SONORAY_INLINE Fan refined(const Fan& fan, int level) {
  Fan fine = fan;
  fine.pitch = fan.pitch / (1 << level);
  fine.sectors = fan.sectors << level;
  return fine;
}

/// How many rays apart the nodes of a ring are: a power of two. It halves at most once from a ring to the next.
SONORAY_HD SONORAY_INLINE int interval(const Plan& plan, const Fan& fan, int ring) {
  const double span = plan.ring(ring) * fan.widest;
  int k = sector;
  while (k > 1 && (k * span > plan.width || k * fan.widest > widest_angle)) k /= 2;
  return k;
}

/// The angle from one unit vector to another, of whose sine and cosine are given: within 1e-7, in all four quadrants.
template <class N>
SONORAY_HD SONORAY_INLINE N angle_of(N sine, N cosine) {
  using namespace lanes;
  N s = sine * sine;
  const mask_of<N> wide = (s > 0.0625) | (cosine < N{});
  const N series = sine * (1.0 + s * (1.0 / 6 + s * (3.0 / 40 + s * (15.0 / 336 + s * (35.0 / 1152)))));
  if (!any<N>(wide)) return series;
  const N half = sine / larger<N>(1.0 + cosine, same<N>(1e-9));
  const N t = half / (1.0 + root<N>(1.0 + half * half));  // the tangent of a quarter
  s = t * t;
  N p = same<N>(0.0028662257);  // Abramowitz and Stegun, 4.4.49
  const double c[] = {-0.0161657367, 0.0429096138, -0.0752896400, 0.1065626393,
                      -0.1420889944, 0.1999355085, -0.3333314528, 1.0};
  for (const double k : c) p = p * s + k;
  return pick<N>(wide, 4.0 * t * p, series);
}

/// What a node is made of; Node's other numbers are 0.
template <class N>
struct State {
  N value[slope_x], caustics, x, z;
  N excess_x, excess_z, take_off_x, take_off_z, arrival_x, arrival_z, xx, xz, zz;
};

/// A ray with the layout L at a node, where it has the state y; (cosine, sine) is its direction at the source. Second
/// order about the node: grad L = K; along the ray L'' = grad n, across it P / Q.
template <class L, class N>
SONORAY_HD SONORAY_INLINE void describe(const Plan& plan, const Fan& fan, const N* y, N cosine, N sine, N passed,
                                        State<N>& out) {
  using namespace lanes;
  tracing::Sample<2, N> s;
  tracing::sample_index<L, 1, 2, N>(plan.medium, y + L::x, s);
  const N dx = y[L::x] - fan.x[0], dz = y[L::x + 1] - fan.x[1];
  const N r = root<N>(larger<N>(dx * dx + dz * dz, same<N>(1e-30))), away = 1.0 / r;
  const N rx = dx * away, rz = dz * away;
  const N inverse = tracing::inverse_norm<2, N>(y + L::k), tx = inverse * y[L::k], tz = inverse * y[L::k + 1];
  const N n = s.value;
  // Near caustics the front's curvature is infinite: held to what can change over a triangle.
  const N most = away + 1.0 / plan.width, q = y[L::q];
  const N unbound = 1.0 / pick<N>(absolute<N>(q) > 1e-12, q, same<N>(1e-12));
  const N per_q = larger<N>(-most, smaller<N>(most, unbound));
  const N curved = larger<N>(-(n * most), smaller<N>(n * most, y[L::q + 1] * unbound));
  const N a = s.gradient[0] * tx + s.gradient[1] * tz, b = s.gradient[1] * tx - s.gradient[0] * tz;
  out.value[excess] = y[L::length] - r;
  out.excess_x = (2.0 / 3.0) * (y[L::k] - rx);
  out.excess_z = (2.0 / 3.0) * (y[L::k + 1] - rz);
  out.xx = (1.0 / 6.0) * (a * tx * tx - 2.0 * b * tx * tz + curved * tz * tz - away * rz * rz);
  out.xz = (1.0 / 6.0) * ((a - curved) * tx * tz + b * (tx * tx - tz * tz) + away * rx * rz);
  out.zz = (1.0 / 6.0) * (a * tz * tz + 2.0 * b * tx * tz + curved * tx * tx - away * rx * rx);
  out.value[tube] = n * q * away;
  out.value[take_off] = angle_of<N>(rx * sine - rz * cosine, rx * cosine + rz * sine);
  out.take_off_x = 0.5 * (away * rz - per_q * tz);
  out.take_off_z = 0.5 * (per_q * tx - away * rx);
  out.value[arrival] = angle_of<N>(rx * tz - rz * tx, rx * tx + rz * tz);
  out.arrival_x = 0.5 * (inverse * (b * tx - curved * tz) + away * rz);
  out.arrival_z = 0.5 * (inverse * (b * tz + curved * tx) - away * rx);
  out.value[absorbed] = y[L::absorbed];
  out.caustics = passed;
  out.x = y[L::x] - plan.center[0];
  out.z = y[L::x + 1] - plan.center[1];
}

/// Lane l of a state becomes a node.
template <bool absorbs, class N>
SONORAY_HD SONORAY_INLINE void put_node(const State<N>& state, int l, Node& node) {
  const auto put = [l](float& to, const N& from) { to = static_cast<float>(lanes::lane(from, l)); };
  for (int k = 0; k < (absorbs ? slope_x : absorbed); ++k) put(node.value[k], state.value[k]);
  put(node.value[caustics], state.caustics);
  put(node.along_x[excess], state.excess_x);
  put(node.along_z[excess], state.excess_z);
  put(node.along_x[take_off], state.take_off_x);
  put(node.along_z[take_off], state.take_off_z);
  put(node.along_x[arrival], state.arrival_x);
  put(node.along_z[arrival], state.arrival_z);
  put(node.along_x[slope_x], state.xx);
  put(node.along_z[slope_x], state.xz);
  put(node.along_x[slope_z], state.xz);
  put(node.along_z[slope_z], state.zz);
  put(node.x, state.x);
  put(node.z, state.z);
}

/// Traces the rays first to first + count - 1 of a fan (surplus lanes repeat the last). Ray i has its nodes in
/// nodes[ring * columns + column + i - first] for the rings 1 to last[column + i - first]. Returns the steps made;
/// gives up where neighbouring nodes of a ring are farther apart than `widest` [m], which `parted` tells.
template <class N, bool plain>
SONORAY_HD SONORAY_OUTLINED int trace_fan(const Plan& plan, const Fan& fan, int first, int count, Node* nodes,
                                          int columns, int column, std::int32_t* last, double widest, bool& parted) {
  using namespace lanes;
  using L = tracing::Layout<Scheme::rk4, 1, 2, plain>;
  N y[L::size] = {}, next[L::size], cosine = N{}, sine = N{}, passed = N{}, before = same<N>(1.0);
  for (int l = 0; l < lanes::count<N>; ++l) {
    const double angle = fan.first + fan.pitch * (first + (l < count ? l : count - 1));
    set_lane(cosine, l, __builtin_cos(angle));
    set_lane(sine, l, __builtin_sin(angle));
  }
  y[L::x] = same<N>(fan.x[0]);
  y[L::x + 1] = same<N>(fan.x[1]);
  tracing::Sample<2, N> s;
  tracing::sample_index<L, 0, 2, N>(plan.medium, y + L::x, s);
  y[L::k] = s.value * cosine;
  y[L::k + 1] = s.value * sine;
  y[L::q + 1] = s.value;
  for (int l = 0; l < count; ++l) last[column + l] = 0;
  N alive = same<N>(1.0);
  int ring = 1;
  for (; ring < plan.rings && any<N>(alive > N{}); ++ring) {
    for (int k = 0; k < plan.every; ++k) {
      tracing::advance<Scheme::rk4, L, 2, N>(plan.medium, same<N>(plan.step), y, next);
      for (int i = 0; i < L::size; ++i) y[i] = next[i];
      passed += tracing::caustics_between<2, N>(&before, y + L::q);
      before = pick<N>(absolute<N>(y[L::q]) > N{}, y[L::q], before);
    }
    // Where rays are chaotic neighbours part exponentially; NaN fails, too.
    const mask_of<N> sound = (absolute<N>(y[L::q]) < 1e15) & (absolute<N>(y[L::q + 1]) < 1e15);
    alive = pick<N>(sound, alive, N{});
    const int apart = interval(plan, fan, ring);
    parted = any<N>(alive * absolute<N>(y[L::q]) > widest / (apart * fan.pitch));
    if (parted) break;
    const int skipped = (apart - first % apart) % apart;
    if (skipped < count) {
      State<N> state;
      describe<L, N>(plan, fan, y, cosine, sine, passed, state);
      for (int l = skipped; l < count; l += apart)
        if (lane(alive, l) > 0) put_node<!plain>(state, l, nodes[ring * columns + column + l]);
    }
    for (int l = 0; l < count; ++l)
      if (lane(alive, l) > 0) last[column + l] = ring;
    const N beyond = tracing::surface_distance<2, N>(plan.region, nullptr, nullptr, y + L::x);
    alive = pick<N>(beyond < same<N>(plan.margin), alive, N{});
  }
  return (ring - 1) * plan.every;
}

/// A triangle's point: the corners' values and derivatives, weighted linearly. With the first derivatives times 2/3 and
/// the second times 1/3 (once derivatives alone: 1/2) the weighted Taylor polynomials are exact to one order more than
/// each is (A. Guessab, O. Nouisser, G. Schmeisser, J. Comput. Appl. Math. 196, 162 (2006)).
SONORAY_HD SONORAY_INLINE void blend(const Node& node, float weight, float x, float z, float* sum) {
  const float dx = x - node.x, dz = z - node.z;
  float v[quantities];
  for (int k = 0; k < quantities; ++k) v[k] = node.value[k] + node.along_x[k] * dx + node.along_z[k] * dz;
  v[excess] += dx * v[slope_x] + dz * v[slope_z];
  for (int k = 0; k < quantities; ++k) sum[k] += weight * v[k];
}

struct Triangle {
  const Node *a, *b, *c;
  float bx, bz, cx, cz;  ///< sides from a, over twice the signed area

  Triangle() = default;
  SONORAY_HD SONORAY_INLINE Triangle(const Node& a_, const Node& b_, const Node& c_) : a(&a_), b(&b_), c(&c_) {
    const float ux = b->x - a->x, uz = b->z - a->z, vx = c->x - a->x, vz = c->z - a->z;
    const float area = ux * vz - uz * vx, size = ux * ux + uz * uz + vx * vx + vz * vz;
    // Without an area no point has weights as small as they have to be.
    const float inverse = (area < 0 ? -area : area) > 1e-6f * size ? 1 / area : 1e30f;
    bx = ux * inverse;
    bz = uz * inverse;
    cx = vx * inverse;
    cz = vz * inverse;
  }
  /// Weights of b and c; whether the point lies in the triangle.
  SONORAY_HD SONORAY_INLINE bool holds(float x, float z, float& wb, float& wc) const {
    const float dx = x - a->x, dz = z - a->z;
    wb = dx * cz - dz * cx;
    wc = dz * bx - dx * bz;
    return wb >= -rounding_margin && wc >= -rounding_margin && wb + wc <= 1 + rounding_margin;
  }
  SONORAY_HD SONORAY_INLINE void at(float x, float z, float wb, float wc, float* sum) const {
    for (int k = 0; k < quantities; ++k) sum[k] = 0;
    blend(*a, 1 - wb - wc, x, z, sum);
    blend(*b, wb, x, z, sum);
    blend(*c, wc, x, z, sum);
  }
  /// Caustics passed: those of the nearest corner.
  SONORAY_HD SONORAY_INLINE float passed(float wb, float wc) const {
    const float wa = 1 - wb - wc;
    return (wb > wc ? (wb > wa ? b : a) : (wc > wa ? c : a))->value[caustics];
  }
};

SONORAY_HD SONORAY_INLINE int clamp_cell(float t, int n) {
  return t > 0 ? (t < n - 1 ? static_cast<int>(t) : n - 1) : 0;
}

/// Buckets that a box overlaps; none if first > last.
struct Window {
  int first[2], last[2];
};

SONORAY_HD SONORAY_INLINE float least(float p, float q) { return p < q ? p : q; }
SONORAY_HD SONORAY_INLINE float most(float p, float q) { return p > q ? p : q; }

SONORAY_HD SONORAY_INLINE Window window_between(const Buckets& buckets, const float* low, const float* high) {
  constexpr float slack = 0.01f;
  Window w;
  for (int d = 0; d < 2; ++d) {
    const float from = (low[d] - buckets.low[d]) * buckets.inverse - slack;
    const float to = (high[d] - buckets.low[d]) * buckets.inverse + slack;
    const bool apart = !(to >= 0 && from <= buckets.n[d]);
    w.first[d] = apart ? 1 : clamp_cell(from, buckets.n[d]);
    w.last[d] = apart ? 0 : clamp_cell(to, buckets.n[d]);
  }
  if (w.first[1] > w.last[1]) {
    w.first[0] = 1;
    w.last[0] = 0;
  }
  return w;
}

SONORAY_HD SONORAY_INLINE Window window_of(const Buckets& buckets, const Triangle* triangles, int count) {
  // All corners are among those of the first triangle and the last ones of the others, see triangles_of.
  const Triangle& t = triangles[0];
  float low[2] = {least(least(t.a->x, t.b->x), t.c->x), least(least(t.a->z, t.b->z), t.c->z)};
  float high[2] = {most(most(t.a->x, t.b->x), t.c->x), most(most(t.a->z, t.b->z), t.c->z)};
  for (int k = 1; k < count; ++k) {
    low[0] = least(low[0], triangles[k].c->x);
    low[1] = least(low[1], triangles[k].c->z);
    high[0] = most(high[0], triangles[k].c->x);
    high[1] = most(high[1], triangles[k].c->z);
  }
  return window_between(buckets, low, high);
}

SONORAY_HD SONORAY_INLINE Window window_at(const Buckets& buckets, double x, double z, double radius) {
  const float low[2] = {static_cast<float>(x - radius), static_cast<float>(z - radius)};
  const float high[2] = {static_cast<float>(x + radius), static_cast<float>(z + radius)};
  return window_between(buckets, low, high);
}

/// The triangles between the rings j and j + 1 and the rays that carry nodes of ring j in the columns i and i + apart.
/// Returns how many: 2, or 3 where the outer ring has twice as many nodes, or 0.
SONORAY_HD SONORAY_INLINE int triangles_of(const Node* nodes, int columns, const std::int32_t* last, int j, int i,
                                           int apart, int apart_next, Triangle* triangles) {
  if (last[i] <= j || last[i + apart] <= j || last[i + apart_next] <= j) return 0;
  const Node* const inner = nodes + std::int64_t(j) * columns + i;
  const Node* const outer = inner + columns;
  triangles[0] = Triangle(inner[0], outer[0], outer[apart_next]);
  triangles[1] = Triangle(inner[0], outer[apart_next], inner[apart]);
  if (apart_next == apart) return 2;
  triangles[2] = Triangle(inner[apart], outer[apart_next], outer[apart]);
  return 3;
}

/// distance / (n J): of the field's square to that in a homogeneous medium, n being that at the point. Bounded: at a
/// caustic rays would have it infinite, while waves have at most about (k r)^(1/3) on a fold and (k r)^(1/2) in a cusp,
/// 8 and 20 across a ring of 0.2 m at 1 MHz.
SONORAY_HD SONORAY_INLINE float focusing_of(float tube_) {
  const float size = tube_ < 0 ? -tube_ : tube_;
  return size * largest_focusing > 1 ? 1 / size : largest_focusing;
}

/// What a point has got from a source so far.
struct Record {
  float value[4];  ///< excess, tube, take_off, arrival
};

/// Within `near` of the source: the straight line, Simpson's rule.
SONORAY_HD SONORAY_INLINE void straight(const Plan& plan, const Fan& fan, const double* x, double r, Record& record,
                                        float* absorption) {
  double n[3], a[3] = {};
  for (int k = 0; k < 3; ++k) {
    const double at[2] = {fan.x[0] + 0.5 * k * (x[0] - fan.x[0]), fan.x[1] + 0.5 * k * (x[1] - fan.x[1])};
    tracing::Sample<2, double> s;
    tracing::sample_index<0, 2, double>(plan.medium, at, s);
    n[k] = s.value;
    if (plan.medium.absorption) a[k] = interpolation::sample_value<2, double>(plan.medium.absorption, at);
  }
  record.value[excess] = static_cast<float>(r * ((n[0] - 1 + 4 * (n[1] - 1) + (n[2] - 1)) / 6));
  record.value[tube] = static_cast<float>(n[2] * n[0] * (1 / n[0] + 4 / n[1] + 1 / n[2]) / 6);  // P stays n[0]
  record.value[take_off] = record.value[arrival] = 0;
  if (absorption) *absorption = static_cast<float>(r * (a[0] + 4 * a[1] + a[2]) / 6);
}

}  // namespace sonoray::greens
