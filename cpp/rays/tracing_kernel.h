#pragma once
// The way of one ray from its start to a surface. `N` is double (one ray: CUDA thread, tests) or lanes::Double<W>
// (W rays, files compiled per level); there are no other differences between the places.
//
//   Ray<scheme, S, D, N> ray;
//   start(medium, surface, limits, position, direction, ray);        // or with a plane per ray: ..., point, normal,
//   ray trace(medium, surface, limits, ray, [](mask, const N* x) {});    // callback: each node reached, the start
//   included ray.position()[d], ray.direction(t), ray.length(), ray.q(0), ray.p(0), ray.caustics, ray.status, ray.steps
#include "core/exec.h"
#include "core/lanes.h"
#include "rays/amplitudes_kernel.h"
#include "rays/schemes.h"
#include "rays/surfaces.h"

namespace sonoray::tracing {

/// How a ray ended. Lanes keep it as a double.
enum Status : int {
  running = 0,
  arrived = 1,    ///< on the surface
  left_grid = 2,  ///< on the grid's box, before the surface
  too_long = 3,   ///< after max_steps
  bad_start = 4,  ///< outside the grid or beyond the surface, no direction, not finite
};

struct Limits {
  double step = 0;    ///< [m]
  int max_steps = 0;  ///< of full length
};

/// `plain` as in Layout: faster, for media that are.
template <Scheme scheme_, int S, int D, class N, bool plain = false>
struct Ray {
  using L = Layout<scheme_, S, D, plain>;
  using Number = N;
  static constexpr Scheme scheme = scheme_;

  N y[L::size];          ///< Layout
  N point[D], plane[D];  ///< Shape::plane: where this ray stops, and the plane's normal (unit)
  N gap;                 ///< of the present position, Shape::plane only
  N passed[L::m];        ///< the last Q of the point source that was not 0
  N status, steps, caustics;

  SONORAY_HD SONORAY_INLINE const N* position() const { return y + L::x; }
  /// Acoustic length [m], the integral of n ds.
  SONORAY_HD SONORAY_INLINE N length() const { return y[L::length]; }
  /// Integral of the absorption field.
  SONORAY_HD SONORAY_INLINE N absorbed() const { return y[L::absorbed]; }
  /// Paraxial solution k, L::m components: 0 point source, 1 plane wave.
  SONORAY_HD SONORAY_INLINE const N* q(int k) const { return y + L::q + 2 * k * L::m; }
  SONORAY_HD SONORAY_INLINE const N* p(int k) const { return q(k) + L::m; }
  /// Unit direction.
  SONORAY_HD SONORAY_INLINE void direction(N* t) const {
    const N unit = inverse_norm<D, N>(y + L::k);
    for (int d = 0; d < D; ++d) t[d] = unit * y[L::k + d];
  }
  /// Unit vectors across the ray to which Q and P refer, (D - 1, D). At the start: frame_of(direction).
  SONORAY_HD SONORAY_INLINE void frame(N* e) const {
    N t[D];
    direction(t);
    if constexpr (D == 2) {
      across<D, N>(t, e);
    } else {
      for (int d = 0; d < D; ++d) e[d] = y[L::frame + d];
      cross(t, e, e + D);
    }
  }
};

/// The frame in which the ray with the unit direction t starts, (D - 1, D).
template <int D, class N>
SONORAY_HD SONORAY_INLINE void frame_of(const N* t, N* e) {
  across<D, N>(t, e);
  if constexpr (D == 3) cross(t, e, e + D);
}

/// Within this of a surface counts as on it [m].
SONORAY_HD SONORAY_INLINE double tolerance(const Limits& limits) { return 1e-6 * limits.step; }

template <class R, int D, class N>
SONORAY_HD SONORAY_INLINE void start(const Medium<D>& medium, const Surface<D>& surface, const Limits& limits,
                                     const N* position, const N* direction, const N* point, const N* plane, R& ray) {
  using namespace lanes;
  using L = typename R::L;
  for (int i = 0; i < L::size; ++i) ray.y[i] = N{};
  const N square = dot<D, N>(direction, direction), unit = inverse_norm<D, N>(direction);
  const mask_of<N> directed = (square > 1e-30) & (square < 1e30);
  for (int d = 0; d < D; ++d) {
    ray.point[d] = point ? point[d] : N{};
    ray.plane[d] = plane ? plane[d] : N{};
    // NaN goes to the low end; such a lane is not traced.
    ray.y[L::x + d] = smaller<N>(same<N>(surface.high[d]), larger<N>(position[d], same<N>(surface.low[d])));
    ray.y[L::x + d] = pick<N>(position[d] == position[d], ray.y[L::x + d], same<N>(surface.low[d]));
    ray.y[L::k + d] = pick<N>(directed, unit * direction[d], same<N>(d == D - 1 ? 1.0 : 0.0));
  }
  mask_of<N> good = directed & (box_gap<D, N>(surface, position).value <= tolerance(limits));
  ray.gap = surface_gap<D, N>(surface, ray.point, ray.plane, ray.position()).value;
  if (surface.shape == Shape::plane) {
    good = good & (ray.gap == ray.gap);
    ray.gap = pick<N>(absolute<N>(ray.gap) <= tolerance(limits), N{}, ray.gap);
  } else {
    good = good & (ray.gap <= tolerance(limits));
  }
  for (int d = 0; d < D; ++d) good = good & (position[d] == position[d]);
  ray.status = pick<N>(good, same<N>(running), same<N>(bad_start));
  ray.steps = ray.caustics = N{};
  if constexpr (R::scheme == Scheme::mixed_step) ray.y[L::kick] = same<N>(0.5);
  for (int i = 0; i < L::m; ++i) ray.passed[i] = same<N>(i == 0 || i == 3 ? 1.0 : 0.0);
  if constexpr (L::solutions > 0) {
    Sample<D, N> s;
    sample_index<L, 0, D, N>(medium, ray.position(), s);
    if constexpr (D == 3) across<D, N>(ray.y + L::k, ray.y + L::frame);
    for (int i = 0; i < L::m; i += 3) {  // the diagonal
      ray.y[L::q + L::m + i] = s.value;
      if constexpr (L::solutions > 1) ray.y[L::q + 2 * L::m + i] = same<N>(1.0);
    }
  }
}

template <class R, int D, class N>
SONORAY_HD SONORAY_INLINE void start(const Medium<D>& medium, const Surface<D>& surface, const Limits& limits,
                                     const N* position, const N* direction, R& ray) {
  start<R, D, N>(medium, surface, limits, position, direction, nullptr, nullptr, ray);
}

/// Where the step from y to next leaves: its length up to there, and whether through the grid's box.
template <class R, int D, class N>
SONORAY_HD SONORAY_INLINE N leaving(const Surface<D>& surface, double near, const R& ray, const N* next, N h,
                                    lanes::mask_of<N> through_surface, lanes::mask_of<N> through_box, N& boxed) {
  using namespace lanes;
  using L = typename R::L;
  Arc<D, N> arc;
  arc.length = h;
  const N chord = 1.0 / larger<N>(h, same<N>(1e-300));
  const N before = inverse_norm<D, N>(ray.y + L::k), after = inverse_norm<D, N>(next + L::k);
  for (int d = 0; d < D; ++d) {
    arc.from[d] = ray.y[L::x + d];
    arc.to[d] = next[L::x + d];
    const N straight = chord * (arc.to[d] - arc.from[d]);
    arc.start[d] = R::scheme == Scheme::rk4 ? before * ray.y[L::k + d] : straight;
    arc.end[d] = R::scheme == Scheme::rk4 ? after * next[L::k + d] : straight;
  }
  const N never = 2.0 * h + 1.0;
  N at = never, box = never, point[D], plane[D];
  for (int d = 0; d < D; ++d) {
    point[d] = ray.point[d];
    plane[d] = ray.plane[d];
  }
  if (surface.shape != Shape::box && any<N>(through_surface))
    at = pick<N>(through_surface, crossing<D, N>(surface, point, plane, false, near, arc), never);
  if (any<N>(through_box)) box = pick<N>(through_box, crossing<D, N>(surface, point, plane, true, near, arc), never);
  boxed = pick<N>(box < at, same<N>(1.0), N{});
  return smaller<N>(at, box);
}

/// Published schemes stop where the chord meets the surface: `next` is moved back along it, to the length s of h.
template <class R, class N>
SONORAY_HD SONORAY_INLINE void cut_chord(const R& ray, lanes::mask_of<N> cut, N h, N s, N* next) {
  using namespace lanes;
  using L = typename R::L;
  if constexpr (R::scheme != Scheme::rk4) {
    const N share = s / h, weight = (ray.y[L::previous] + s) / (ray.y[L::previous] + h);
    for (int i = 0; i < L::extra; ++i) {
      const N w = i == L::length || i == L::absorbed ? weight : share;
      next[i] = pick<N>(cut, ray.y[i] + w * (next[i] - ray.y[i]), next[i]);
    }
    next[L::previous] = pick<N>(cut, s, next[L::previous]);
  }
}

/// How far the ray at `next` is from its surface, along its direction.
template <class R, int D, class N>
SONORAY_HD SONORAY_INLINE N missing_length(const Surface<D>& surface, const R& ray, N boxed, const N* next) {
  using namespace lanes;
  using L = typename R::L;
  const Gap<D, N> box = box_gap<D, N>(surface, next + L::x);
  const Gap<D, N> gap = surface_gap<D, N>(surface, ray.point, ray.plane, next + L::x);
  const N unit = inverse_norm<D, N>(next + L::k);
  N slope = N{};
  for (int d = 0; d < D; ++d) slope += unit * next[L::k + d] * pick<N>(boxed > N{}, box.normal[d], gap.normal[d]);
  return -pick<N>(boxed > N{}, box.value, gap.value) / larger<N>(slope, same<N>(1e-3));
}

/// A state so close to the surface that it follows its tangent for the rest, delta.
template <class R, int D, class N>
SONORAY_HD SONORAY_INLINE void creep(lanes::mask_of<N> m, N delta, N* next) {
  using namespace lanes;
  using L = typename R::L;
  const N unit = inverse_norm<D, N>(next + L::k), d = pick<N>(m, delta, N{});
  for (int i = 0; i < D; ++i) next[L::x + i] += d * unit * next[L::k + i];
  next[L::length] += d / unit;
}

/// Rounding must not put an end outside the grid.
template <class R, int D, class N>
SONORAY_HD SONORAY_INLINE void keep_inside(const Surface<D>& surface, lanes::mask_of<N> m, N* next) {
  using namespace lanes;
  for (int d = 0; d < D; ++d) {
    const N x = next[R::L::x + d];
    const N held = smaller<N>(larger<N>(x, same<N>(surface.low[d])), same<N>(surface.high[d]));
    next[R::L::x + d] = pick<N>(m, held, x);
  }
}

/// Traces to the end. `record(mask, y)` gets the states (Layout) of the rays in the mask: at the start, each node, the
/// end; the last half interval of the published schemes' integrals is added after that.
template <class R, int D, class Record>
SONORAY_HD SONORAY_INLINE void trace(const Medium<D>& medium, const Surface<D>& surface, const Limits& limits, R& ray,
                                     const Record& record) {
  using namespace lanes;
  using N = typename R::Number;
  using L = typename R::L;
  const double near = tolerance(limits);
  const bool boxed_only = surface.shape == Shape::box, planes = surface.shape == Shape::plane;
  N h = same<N>(limits.step), boxed = N{}, landing = N{};
  N shortest = N{}, longest = h;  // between these lengths of the last step lies the surface
  mask_of<N> active = ray.status == N{};
  record(active, ray.y);
  while (any<N>(active)) {
    N next[L::size];
    advance<R::scheme, L, D, N>(medium, h, ray.y, next);
    const N box = box_distance<D, N>(surface, next + L::x);
    const N gap = boxed_only ? box : surface_distance<D, N>(surface, ray.point, ray.plane, next + L::x);
    const mask_of<N> full = active & (landing == N{});  // made a step of full length
    const mask_of<N> through_box = full & (box > near);
    const mask_of<N> through_surface =
        full & (planes ? (ray.gap < N{}) & (gap >= N{}) : gap > (boxed_only ? 1e300 : near));
    const mask_of<N> leaves = through_box | through_surface;
    mask_of<N> ends = active & (landing > N{});
    if (any<N>(leaves | ends)) {
      if constexpr (R::scheme == Scheme::rk4) {
        // Repeat the step with the length up to the surface until what is missing is negligible.
        const N missing = missing_length<R, D, N>(surface, ray, boxed, next);
        shortest = pick<N>(ends & (missing > N{}), h, shortest);
        longest = pick<N>(ends & (missing <= N{}), h, longest);
        const N middle = 0.5 * (shortest + longest), newton = h + missing;
        const mask_of<N> close = ends & ((absolute<N>(missing) < 0.1 * near) | (longest - shortest < 1e-6 * near));
        creep<R, D, N>(close & (absolute<N>(missing) < 0.1 * near), missing, next);
        keep_inside<R, D, N>(surface, close, next);
        h = pick<N>(ends, pick<N>((newton > shortest) & (newton < longest), newton, middle), h);
        ends = close;
      }
      if (any<N>(leaves)) {
        N through;
        const N s = leaving<R, D, N>(surface, near, ray, next, h, through_surface, through_box, through);
        boxed = pick<N>(leaves, through, boxed);
        if constexpr (R::scheme == Scheme::rk4) {
          h = pick<N>(leaves, s, h);
          landing = pick<N>(leaves, same<N>(1.0), landing);
        } else {
          cut_chord<R, N>(ray, leaves, h, s, next);
          keep_inside<R, D, N>(surface, leaves, next);
          ends = leaves;
        }
      }
    }
    const mask_of<N> accept = ends | (full & (pick<N>(leaves, same<N>(1.0), N{}) == N{}));
    if constexpr (L::solutions > 0) {
      const N* const q = next + L::q;
      ray.caustics += pick<N>(accept, caustics_between<D, N>(ray.passed, q), N{});
      const mask_of<N> moved = accept & (absolute<N>(jacobian<D, N>(q)) > N{});
      for (int i = 0; i < L::m; ++i) ray.passed[i] = pick<N>(moved, q[i], ray.passed[i]);
    }
    for (int i = 0; i < L::size; ++i) ray.y[i] = pick<N>(accept, next[i], ray.y[i]);
    if (planes) ray.gap = pick<N>(accept, gap, ray.gap);
    ray.steps += pick<N>(accept, same<N>(1.0), N{});
    const N end = pick<N>(boxed > N{}, same<N>(boxed_only ? arrived : left_grid), same<N>(arrived));
    ray.status = pick<N>(ends, end, ray.status);
    ray.status = pick<N>((ray.status == N{}) & (landing == N{}) & (ray.steps >= limits.max_steps), same<N>(too_long),
                         ray.status);
    record(accept, ray.y);
    active = ray.status == N{};
  }
  if constexpr (R::scheme != Scheme::rk4) {  // the last node's half of the trapezoid
    Sample<D, N> s;
    sample_index<L, 0, D, N>(medium, ray.position(), s);
    const N weight = 0.5 * ray.y[L::previous];
    ray.y[L::length] += weight * travel_index<L, D, N>(medium, ray.position(), s);
    ray.y[L::absorbed] += weight * absorption_at<L, D, N>(medium, ray.position());
    ray.y[L::previous] = N{};
  }
}

}  // namespace sonoray::tracing
