#pragma once
// Rays of one emitter: a fan into all directions where receivers lie, and trial rays that end on planes. What is done
// for one bunch of rays (one per SIMD lane, or one per CUDA thread) is here; compiled once per processor level.
#include <cstdint>
#include <cstring>

#include "core/exec.h"
#include "core/lanes.h"
#include "rays/linking_kernel.h"
#include "rays/linking_search.h"
#include "rays/schemes.h"

namespace sonoray::linking {

/// What all rays have in common.
template <int D>
struct Space {
  tracing::Medium<D> medium;
  double low[D], high[D];    ///< [m] the grid's box
  double margin;             ///< [m] by which a ray may run outside it
  double center[D], radius;  ///< [m] of a ball that holds all elements
  double step;               ///< [m]
};

/// A fan to be traced: `fan` without its samples, exits and reach.
template <int D>
struct FanTask {
  const Space<D>* space;
  Fan<D> fan;
  double emitter[D], index;  ///< [m], and the refractive index there
  int first, n;              ///< which rays; others keep what they have
  double farthest;           ///< [m] distance of the receivers
  int every;                 ///< steps between two looks at a ray
  Sample<D>* samples;
  Exit<D>* exits;  ///< y0 is given
};

/// Trial rays of one emitter: searches[order[i]] asks, landings[i] answers.
template <int D>
struct TrialTask {
  const Space<D>* space;
  double emitter[D], index;
  const Search<D>* searches;
  const std::int32_t* order;
  std::int64_t n;
  Landing<D>* landings;
};

/// One number per lane.
template <class N>
SONORAY_HD SONORAY_INLINE N from_lanes(const double* values) {
  if constexpr (lanes::count<N> == 1) {
    return *values;
  } else {
    N n;
    std::memcpy(&n, values, sizeof n);
    return n;
  }
}

/// Rays to be written down: every `stride`-th of `steps[i]` full steps.
template <int D>
struct PathTask {
  const Space<D>* space;
  double emitter[D], index;
  std::int64_t n;
  const double* take_off;       ///< (n, D)
  const double* receivers;      ///< (n, D) [m] the last node
  const std::int32_t* steps;    ///< (n)
  const std::int64_t* offsets;  ///< (n) first node in `points`
  int stride;
  double* points;  ///< (nodes, D) [m]
};

template <int D, class N>
struct Bunch {
  using L = tracing::Layout<tracing::Scheme::rk4, 1, D>;
  N y[L::size], next[L::size];

  /// `t` [D] unit directions of travel.
  SONORAY_HD SONORAY_INLINE void start(const double* emitter, double index, const N* t) {
    for (int i = 0; i < L::size; ++i) y[i] = N{};
    for (int d = 0; d < D; ++d) {
      y[L::x + d] = lanes::same<N>(emitter[d]);
      y[L::k + d] = index * t[d];
    }
    if constexpr (D == 3) tracing::across<D, N>(t, y + L::frame);
    for (int i = 0; i < D - 1; ++i) y[L::q + L::m + i * D] = lanes::same<N>(index);  // P = n I
  }

  SONORAY_HD SONORAY_INLINE void advance(const Space<D>& space, N h) {
    tracing::advance<tracing::Scheme::rk4, 1, D, N>(space.medium, h, y, next);
  }

  /// One lane of `from` (y or next) as positions from the emitter, direction and shifts.
  SONORAY_HD SONORAY_INLINE void lane(const N* from, int l, const double* emitter, double* x, double* t,
                                      double (*shift)[D], double (*spread)[D], double* index) const {
    double k[D], e[D - 1][D];
    for (int d = 0; d < D; ++d) {
      x[d] = lanes::lane<N>(from[L::x + d], l) - emitter[d];
      k[d] = lanes::lane<N>(from[L::k + d], l);
    }
    *index = norm<D>(k);
    for (int d = 0; d < D; ++d) t[d] = k[d] / *index;
    if constexpr (D == 2) {
      tracing::across<D, double>(t, e[0]);
    } else {
      for (int d = 0; d < D; ++d) e[0][d] = lanes::lane<N>(from[L::frame + d], l);
      tracing::cross<double>(t, e[0], e[1]);
    }
    for (int j = 0; j < D - 1; ++j)
      for (int d = 0; d < D; ++d) {
        double q = 0, p = 0;
        for (int i = 0; i < D - 1; ++i) {
          q += e[i][d] * lanes::lane<N>(from[L::q + i * (D - 1) + j], l);
          p += e[i][d] * lanes::lane<N>(from[L::q + L::m + i * (D - 1) + j], l);
        }
        shift[j][d] = q;
        spread[j][d] = p / *index;
      }
  }
};

/// How far x lies outside the grid's box; negative inside.
template <int D, class N>
SONORAY_HD SONORAY_INLINE N outside(const Space<D>& space, const N* x) {
  N worst = lanes::same<N>(-1e300);
  for (int d = 0; d < D; ++d)
    worst = lanes::larger<N>(worst, lanes::larger<N>(space.low[d] - x[d], x[d] - space.high[d]));
  return worst;
}

/// Chart coordinates instead of angles across the take-off: shift_y[j] = sum_i shift[i] (e_i . dt/dy_j).
template <int D>
SONORAY_HD SONORAY_INLINE void on_chart(const double (*e)[D], const double (*tangent)[D], const double (*v)[D],
                                        double (*out)[D]) {
  for (int j = 0; j < D - 1; ++j)
    for (int d = 0; d < D; ++d) {
      out[j][d] = 0;
      for (int i = 0; i < D - 1; ++i) out[j][d] += v[i][d] * dot<D>(e[i], tangent[j]);
    }
}

/// Samples one ray of a fan as it goes.
template <int D>
struct Follower {
  static constexpr int E = D - 1;
  double y0[E], e[E][D], tangent[E][D];
  Sample<D> last;
  double rho;
  int n;  ///< samples so far
  bool active;

  SONORAY_HD SONORAY_INLINE void start(const Fan<D>& fan, const double* take_off, double* t) {
    for (int j = 0; j < E; ++j) y0[j] = take_off[j];
    fan.chart.direction(y0, t);
    across<D>(t, e);
    fan.chart.tangents(y0, tangent);
    last = Sample<D>{};
    for (int j = 0; j < E; ++j) last.stretch[j * D] = 1;
    rho = 0;
    n = 0;
    active = true;
  }

  /// Takes the state of the ray; false when it turns back.
  SONORAY_HD SONORAY_INLINE bool look(const Fan<D>& fan, const double* x, const double* t, const double (*shift)[D],
                                      double length, double index, Sample<D>* samples) {
    double on[E][D], r;
    on_chart<D>(e, tangent, shift, on);
    Sample<D> now;
    if (!polar<D>(fan.chart, y0, x, t, on, length, index, &r, now) || !(r > rho)) return false;
    if (rho == 0) {  // of a circular arc, whose chord turns evenly
      for (int j = 0; j < E; ++j) last.slope[j] = now.slope[j];
      last.rate = float(index);
    }
    while (n < fan.most_samples && n * fan.spacing <= r) {
      between<D>(last, now, r - rho, (n * fan.spacing - rho) / (r - rho), samples[n]);
      ++n;
    }
    last = now;
    rho = r;
    return true;
  }

  SONORAY_HD SONORAY_INLINE void leave(const double* x, const double* t, const double (*shift)[D],
                                       const double (*spread)[D], double length, double index, bool goes_on,
                                       Exit<D>& exit) const {
    exit.samples = n;
    exit.goes_on = goes_on;
    exit.length = length;
    exit.index = index;
    for (int d = 0; d < D; ++d) {
      exit.x[d] = x[d];
      exit.t[d] = t[d];
    }
    on_chart<D>(e, tangent, shift, exit.shift);
    on_chart<D>(e, tangent, spread, exit.spread);
  }
};

/// Rays `first` to `first + W - 1` of a fan.
template <int D, class N>
SONORAY_HD SONORAY_INLINE void trace_fan(const FanTask<D>& task, int first) {
  constexpr int W = lanes::count<N>;
  using B = Bunch<D, N>;
  using L = typename B::L;
  const Space<D>& space = *task.space;
  const int end = task.first + task.n;
  Follower<D> follower[W];
  B bunch;
  N t[D];
  double directions[D][W];
  int active = 0;
  for (int l = 0; l < W; ++l) {
    double direction[D];
    follower[l].start(task.fan, task.exits[first + l < end ? first + l : end - 1].y0, direction);
    follower[l].active = first + l < end;
    active += follower[l].active;
    for (int d = 0; d < D; ++d) directions[d][l] = direction[d];
  }
  for (int d = 0; d < D; ++d) t[d] = from_lanes<N>(directions[d]);
  bunch.start(task.emitter, task.index, t);
  const N h = lanes::same<N>(space.step);
  // A ray that winds about is given up after three times the way.
  const int most = int(3 * task.farthest / (space.step * task.every)) + 4;
  for (int k = 0; k < most && active > 0; ++k) {
    for (int i = 0; i < task.every; ++i) {
      bunch.advance(space, h);
      for (int c = 0; c < L::size; ++c) bunch.y[c] = bunch.next[c];
    }
    for (int l = 0; l < W; ++l) {
      Follower<D>& f = follower[l];
      if (!f.active) continue;
      double x[D], at[D], way[D], shift[D - 1][D], spread[D - 1][D], index;
      bunch.lane(bunch.y, l, task.emitter, x, way, shift, spread, &index);
      const double length = lanes::lane<N>(bunch.y[L::length], l);
      bool ok = f.look(task.fan, x, way, shift, length, index,
                       task.samples + std::int64_t(first + l) * task.fan.most_samples);
      double from_center = 0, outwards = 0;
      for (int d = 0; d < D; ++d) {
        at[d] = x[d] + task.emitter[d];
        from_center += (at[d] - space.center[d]) * (at[d] - space.center[d]);
        outwards += (at[d] - space.center[d]) * way[d];
      }
      const bool gone = ok && ((from_center > space.radius * space.radius && outwards > 0) || f.rho > task.farthest ||
                               outside<D, double>(space, at) > space.margin);
      if (ok && !gone && k + 1 < most) continue;
      f.leave(x, way, shift, spread, length, index, gone, task.exits[first + l]);
      f.active = false;
      --active;
    }
  }
}

/// Trial rays `first` to `first + W - 1`.
template <int D, class N>
SONORAY_HD SONORAY_INLINE void trace_trials(const TrialTask<D>& task, std::int64_t first) {
  using namespace lanes;
  constexpr int W = lanes::count<N>;
  using B = Bunch<D, N>;
  using L = typename B::L;
  const Space<D>& space = *task.space;
  B bunch;
  N t[D], normal[D], held[L::size], gap_before = N{}, gap_after = N{};
  double given[2 * D + 2][W];
  for (int l = 0; l < W; ++l) {
    const std::int64_t i = first + l < task.n ? first + l : task.n - 1;
    const Search<D>& s = task.searches[task.order[i]];
    double along = 0;
    for (int d = 0; d < D; ++d) {
      given[d][l] = s.t[d];
      given[D + d][l] = s.normal[d];
      along += s.normal[d] * (s.target[d] + task.emitter[d]);
    }
    given[2 * D][l] = along;
    given[2 * D + 1][l] = 2.5 * s.rho / space.step + 16;
  }
  for (int d = 0; d < D; ++d) {
    t[d] = from_lanes<N>(given[d]);
    normal[d] = from_lanes<N>(given[D + d]);
  }
  const N offset = from_lanes<N>(given[2 * D]), limit = from_lanes<N>(given[2 * D + 1]);
  bunch.start(task.emitter, task.index, t);
  for (int c = 0; c < L::size; ++c) held[c] = bunch.y[c];
  const N h = same<N>(space.step);
  N open = same<N>(1.0), landed = N{}, steps = N{}, caustics = N{}, beyond = same<N>(-1e300);
  N gap = -offset;
  for (int d = 0; d < D; ++d) gap += normal[d] * bunch.y[L::x + d];
  while (any<N>(open > N{})) {
    bunch.advance(space, h);
    N ahead = -offset;
    for (int d = 0; d < D; ++d) ahead += normal[d] * bunch.next[L::x + d];
    const N crosses = pick<N>(ahead >= N{}, open, N{});
    const mask_of<N> crossing = crosses > N{};
    if (any<N>(crossing)) {  // these wait before their last step, which all lanes then do together
      for (int c = 0; c < L::size; ++c) held[c] = pick<N>(crossing, bunch.y[c], held[c]);
      gap_before = pick<N>(crossing, gap, gap_before);
      gap_after = pick<N>(crossing, ahead, gap_after);
      landed += crosses;
      open -= crosses;
    }
    const N goes = pick<N>(open > N{}, same<N>(1.0), N{});
    caustics += goes * tracing::caustics_between<D, N>(bunch.y + L::q, bunch.next + L::q);
    steps += goes;
    open = pick<N>(steps > limit, N{}, open);
    beyond = pick<N>(open > N{}, larger<N>(beyond, outside<D, N>(space, bunch.next + L::x)), beyond);
    for (int c = 0; c < L::size; ++c) bunch.y[c] = bunch.next[c];
    gap = ahead;
  }
  for (int c = 0; c < L::size; ++c) bunch.y[c] = held[c];
  const N share = gap_before / smaller<N>(gap_before - gap_after, same<N>(-1e-300));
  bunch.advance(space, h * smaller<N>(same<N>(1.0), larger<N>(N{}, share)));
  caustics += tracing::caustics_between<D, N>(bunch.y + L::q, bunch.next + L::q);
  for (int l = 0; l < W && first + l < task.n; ++l) {
    Landing<D>& out = task.landings[first + l];
    const Search<D>& s = task.searches[task.order[first + l]];
    double spread[D - 1][D];
    bunch.lane(bunch.next, l, task.emitter, out.x, out.t, out.shift, spread, &out.index);
    double left = 0;
    for (int d = 0; d < D; ++d) left += s.normal[d] * (s.target[d] - out.x[d]);
    const double along = dot<D>(s.normal, out.t), rest = left / along;
    out.landed = lane<N>(landed, l) > 0 && along > 1e-3 && fabs(rest) < 0.1 * space.step;
    for (int d = 0; d < D; ++d) {  // the curvature of what is left of the step does not count
      out.x[d] += rest * out.t[d];
      for (int j = 0; j < D - 1; ++j) out.shift[j][d] += rest * spread[j][d];
    }
    double q[tracing::spread_size<D>];
    for (int c = 0; c < L::m; ++c)
      q[c] = lane<N>(bunch.next[L::q + c], l) + rest / out.index * lane<N>(bunch.next[L::q + L::m + c], l);
    out.jacobian = tracing::jacobian<D, double>(q);
    out.length = lane<N>(bunch.next[L::length], l) + rest * out.index;
    out.caustics = int(lane<N>(caustics, l));
    out.steps = int(lane<N>(steps, l));
    out.outside = lane<N>(beyond, l) > space.margin;
  }
}

/// How many nodes a path of so many full steps has.
SONORAY_HD inline std::int64_t path_nodes(std::int64_t steps, int stride) { return steps / stride + 2; }

/// Paths `first` to `first + W - 1`.
template <int D, class N>
SONORAY_HD SONORAY_INLINE void trace_paths(const PathTask<D>& task, std::int64_t first) {
  constexpr int W = lanes::count<N>;
  using B = Bunch<D, N>;
  using L = typename B::L;
  B bunch;
  N t[D];
  double given[D][W];
  std::int32_t most = 0;
  for (int l = 0; l < W; ++l) {
    const std::int64_t i = first + l < task.n ? first + l : task.n - 1;
    for (int d = 0; d < D; ++d) given[d][l] = task.take_off[i * D + d];
    most = task.steps[i] > most ? task.steps[i] : most;
  }
  for (int d = 0; d < D; ++d) t[d] = from_lanes<N>(given[d]);
  bunch.start(task.emitter, task.index, t);
  for (std::int32_t k = 0; k <= most; ++k) {
    if (k % task.stride == 0)
      for (int l = 0; l < W && first + l < task.n; ++l)
        if (k <= task.steps[first + l])
          for (int d = 0; d < D; ++d)
            task.points[(task.offsets[first + l] + k / task.stride) * D + d] = lanes::lane<N>(bunch.y[L::x + d], l);
    bunch.advance(*task.space, lanes::same<N>(task.space->step));
    for (int c = 0; c < L::size; ++c) bunch.y[c] = bunch.next[c];
  }
  for (int l = 0; l < W && first + l < task.n; ++l)
    for (int d = 0; d < D; ++d)
      task.points[(task.offsets[first + l] + path_nodes(task.steps[first + l], task.stride) - 1) * D + d] =
          task.receivers[(first + l) * D + d];
}

#define SONORAY_DECLARE_LEVEL(level)         \
  namespace level {                          \
  void link_fan(const FanTask<2>&);          \
  void link_fan(const FanTask<3>&);          \
  void link_trials(const TrialTask<2>&);     \
  void link_trials(const TrialTask<3>&);     \
  void link_trace_paths(const PathTask<2>&); \
  void link_trace_paths(const PathTask<3>&); \
  }
SONORAY_DECLARE_LEVEL(baseline)
SONORAY_DECLARE_LEVEL(v3)
SONORAY_DECLARE_LEVEL(v4)
#undef SONORAY_DECLARE_LEVEL

}  // namespace sonoray::linking
