#pragma once
// Where rays stop. A gap is positive beyond the surface, negative before it, and a length near it.
#include <cstdint>

#include "core/exec.h"
#include "core/lanes.h"

namespace sonoray::tracing {

/// box: the grid's own box. sphere, convex: regions that hold the ray; it stops where it leaves. plane: given per ray;
/// the ray stops where it crosses from the side opposite to the normal, wherever it starts.
enum class Shape { box, sphere, convex, plane };

template <int D>
struct Surface {
  Shape shape = Shape::box;
  double center[D] = {}, radius = 0;  ///< [m] of a sphere (circle)
  const double* faces = nullptr;      ///< (n_faces, D + 1) of a convex region: outward unit normal, offset [m]
  int n_faces = 0;
  double low[D] = {}, high[D] = {};  ///< [m] the grid's box, which no ray leaves
};

/// Signed distance (nearly: exact on the surface and to first order near it) and its gradient.
template <int D, class N>
struct Gap {
  N value, normal[D];
};

template <int D, class N>
SONORAY_HD SONORAY_INLINE Gap<D, N> box_gap(const Surface<D>& s, const N* x) {
  using namespace lanes;
  Gap<D, N> gap;
  gap.value = same<N>(-1e300);
  for (int d = 0; d < D; ++d) gap.normal[d] = N{};
  for (int d = 0; d < D; ++d) {
    const N below = s.low[d] - x[d], above = x[d] - s.high[d], worst = larger<N>(below, above);
    const mask_of<N> further = worst > gap.value;
    for (int e = 0; e < d; ++e) gap.normal[e] = pick<N>(further, N{}, gap.normal[e]);
    gap.normal[d] = pick<N>(further, pick<N>(above > below, same<N>(1.0), same<N>(-1.0)), N{});
    gap.value = larger<N>(worst, gap.value);
  }
  return gap;
}

/// The value of box_gap alone.
template <int D, class N>
SONORAY_HD SONORAY_INLINE N box_distance(const Surface<D>& s, const N* x) {
  N worst = lanes::larger<N>(s.low[0] - x[0], x[0] - s.high[0]);
  for (int d = 1; d < D; ++d) worst = lanes::larger<N>(worst, lanes::larger<N>(s.low[d] - x[d], x[d] - s.high[d]));
  return worst;
}

/// `point` and `normal` belong to the ray and matter to planes only.
template <int D, class N>
SONORAY_HD SONORAY_INLINE Gap<D, N> surface_gap(const Surface<D>& s, const N* point, const N* normal, const N* x) {
  using namespace lanes;
  Gap<D, N> gap;
  if (s.shape == Shape::sphere) {
    const double inverse = 1.0 / s.radius;
    N square = N{};
    for (int d = 0; d < D; ++d) {
      const N r = x[d] - s.center[d];
      square += r * r;
      gap.normal[d] = r * inverse;
    }
    gap.value = (0.5 * inverse) * (square - s.radius * s.radius);
  } else if (s.shape == Shape::convex) {
    gap.value = same<N>(-1e300);
    for (int d = 0; d < D; ++d) gap.normal[d] = N{};
    SONORAY_ROLLED
    for (int f = 0; f < s.n_faces; ++f) {
      const double* const face = s.faces + f * (D + 1);
      N value = same<N>(-face[D]);
      for (int d = 0; d < D; ++d) value += face[d] * x[d];
      const mask_of<N> further = value > gap.value;
      for (int d = 0; d < D; ++d) gap.normal[d] = pick<N>(further, same<N>(face[d]), gap.normal[d]);
      gap.value = larger<N>(value, gap.value);
    }
  } else if (s.shape == Shape::plane) {
    gap.value = N{};
    for (int d = 0; d < D; ++d) {
      gap.value += normal[d] * (x[d] - point[d]);
      gap.normal[d] = normal[d];
    }
  } else {
    gap = box_gap<D, N>(s, x);
  }
  return gap;
}

/// The value of surface_gap alone.
template <int D, class N>
SONORAY_HD SONORAY_INLINE N surface_distance(const Surface<D>& s, const N* point, const N* normal, const N* x) {
  using namespace lanes;
  if (s.shape == Shape::sphere) {
    N square = N{};
    for (int d = 0; d < D; ++d) square += (x[d] - s.center[d]) * (x[d] - s.center[d]);
    return (0.5 / s.radius) * (square - s.radius * s.radius);
  }
  if (s.shape == Shape::plane) {
    N value = N{};
    for (int d = 0; d < D; ++d) value += normal[d] * (x[d] - point[d]);
    return value;
  }
  return surface_gap<D, N>(s, point, normal, x).value;
}

/// The cubic through both ends of a step with the directions there; a straight line if both are the chord's.
template <int D, class N>
struct Arc {
  N from[D], to[D], start[D], end[D];  ///< positions [m], unit directions
  N length;                            ///< of the step [m]

  SONORAY_HD SONORAY_INLINE void at(N s, N* x) const {
    const N u = s / lanes::larger<N>(length, lanes::same<N>(1e-300)), v = 1.0 - u;
    const N to_share = u * u * (3.0 - 2.0 * u), a = length * (u * v * v), b = length * (u * u * v);
    for (int d = 0; d < D; ++d) x[d] = from[d] + to_share * (to[d] - from[d]) + a * start[d] - b * end[d];
  }
};

/// Where on the arc the gap becomes positive, given that it is at the end: 0 if it is from the start on, and beyond the
/// start if the ray starts on the surface (within `near`) and dips below it first. `box`: of the grid's box instead.
template <int D, class N>
SONORAY_HD SONORAY_OUTLINED N crossing(const Surface<D>& surface, const N* point, const N* plane, bool box, double near,
                                       const Arc<D, N>& arc) {
  using namespace lanes;
  const auto gap_of = [&](const N* x) {
    return box ? box_gap<D, N>(surface, x) : surface_gap<D, N>(surface, point, plane, x);
  };
  const auto distance_of = [&](const N* x) {
    return box ? box_distance<D, N>(surface, x) : surface_distance<D, N>(surface, point, plane, x);
  };
  N x[D];
  const Gap<D, N> first = gap_of(arc.from);
  const N end = distance_of(arc.to);
  N slope = N{};
  for (int d = 0; d < D; ++d) slope += first.normal[d] * arc.start[d];
  // Started on the surface: the lowest point of the parabola through both gaps with the slope at the start.
  const N rise = larger<N>(end - first.value - slope * arc.length, same<N>(1e-300));
  const N dip = smaller<N>(arc.length, larger<N>(N{}, -0.5 * slope * arc.length * arc.length / rise));
  N a = pick<N>(first.value < -near, N{}, dip), b = arc.length;
  arc.at(a, x);
  N low = distance_of(x), high = end;
  const mask_of<N> below = low < N{};
  N side = N{};
  SONORAY_ROLLED
  for (int k = 0; k < 12; ++k) {  // regula falsi; an end that stays twice counts half (Illinois)
    const N range = larger<N>(high - low, same<N>(1e-300));
    const N s = smaller<N>(b, larger<N>(a, a - low * (b - a) / range));
    arc.at(s, x);
    const N g = distance_of(x);
    const mask_of<N> beyond = g > N{};
    low = pick<N>(beyond, pick<N>(side > N{}, 0.5 * low, low), g);
    high = pick<N>(beyond, g, pick<N>(side < N{}, 0.5 * high, high));
    side = pick<N>(beyond, same<N>(1.0), same<N>(-1.0));
    b = pick<N>(beyond, s, b);
    a = pick<N>(beyond, a, s);
  }
  const N root = smaller<N>(b, larger<N>(a, a - low * (b - a) / larger<N>(high - low, same<N>(1e-300))));
  return pick<N>(below, root, N{});
}

}  // namespace sonoray::tracing
