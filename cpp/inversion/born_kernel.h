#pragma once
// One image point and one source (or W sources at once: F is float or a vector of simd.h), and the checks that both
// places share.
#include <cstdint>
#include <string>

#include "core/error.h"
#include "core/exec.h"
#include "core/simd.h"
#include "inversion/born.h"

namespace sonoray::born_kernel {

using simd::lanes_of;
using simd::nearest;
using simd::root;
using simd::sincos_turns;

/// Values of W neighbouring sources.
template <class F>
SONORAY_HD SONORAY_INLINE F fetch(const float* p) {
  if constexpr (lanes_of<F> == 1) {
    return *p;
  } else {
#if !defined(__CUDACC__)
    return simd::load<F>(p);
#endif
  }
}

template <class F>
SONORAY_HD SONORAY_INLINE F fetch(const std::uint8_t* p) {
  if constexpr (lanes_of<F> == 1) {
    return static_cast<float>(*p);
  } else {
#if !defined(__CUDACC__)
    F r;
    for (int l = 0; l < lanes_of<F>; ++l) r[l] = static_cast<float>(p[l]);
    return r;
#endif
  }
}

/// The rows of the fields' tables that a point takes its values from: its own, or those of four nodes around it. The
/// weights are the same for all sources.
struct Rows {
  std::int64_t start[4];
  float weight[4];
  float spare[4];  ///< 1e30 where the weight is 0, so that such a node has no say
  std::int64_t closest;
};

SONORAY_HD SONORAY_INLINE void cell_of(float x, float origin, float spacing, std::int64_t n, std::int64_t& i,
                                       float& f) {
  float t = (x - origin) / spacing;
  const float last = static_cast<float>(n - 1);
  t = t < 0.0f ? 0.0f : t > last ? last : t;
  i = static_cast<std::int64_t>(t);
  i = i > n - 2 ? n - 2 : i;
  f = t - static_cast<float>(i);
}

SONORAY_HD SONORAY_INLINE Rows rows_of(const BornFields& g, std::int64_t point, float x, float z) {
  const std::int64_t n_sources = g.sources.shape[1];
  Rows rows{};
  if (!g.shape[0]) {
    rows.start[0] = rows.closest = point * n_sources;
    return rows;
  }
  std::int64_t i, j;
  float u, v;
  cell_of(x, g.origin[0], g.spacing[0], g.shape[0], i, u);
  cell_of(z, g.origin[1], g.spacing[1], g.shape[1], j, v);
  for (int k = 0; k < 4; ++k) {
    rows.start[k] = ((i + k / 2) * g.shape[1] + j + k % 2) * n_sources;
    rows.weight[k] = (k / 2 ? u : 1.0f - u) * (k % 2 ? v : 1.0f - v);
    rows.spare[k] = rows.weight[k] > 0.0f ? 0.0f : 1e30f;
  }
  rows.closest = rows.start[(u > 0.5f ? 2 : 0) + (v > 0.5f ? 1 : 0)];
  return rows;
}

template <class F, bool Coarse>
SONORAY_HD SONORAY_INLINE F value(const float* field, const Rows& rows, std::int64_t s) {
  if constexpr (Coarse) {
    return rows.weight[0] * fetch<F>(field + rows.start[0] + s) + rows.weight[1] * fetch<F>(field + rows.start[1] + s) +
           rows.weight[2] * fetch<F>(field + rows.start[2] + s) + rows.weight[3] * fetch<F>(field + rows.start[3] + s);
  } else {
    return fetch<F>(field + rows.start[0] + s);
  }
}

/// Focusing is 0 at a node without a ray: no value can be interpolated beside it.
template <class F, bool Coarse>
SONORAY_HD SONORAY_INLINE F focusing_at(const float* field, const Rows& rows, std::int64_t s) {
  if constexpr (Coarse) {
    F least = F{} + 1e30f, sum = F{};
    for (int k = 0; k < 4; ++k) {
      const F f = fetch<F>(field + rows.start[k] + s), shown = f + rows.spare[k];
      least = shown < least ? shown : least;
      sum += rows.weight[k] * f;
    }
    return least > 0.0f ? sum : F{};
  } else {
    return fetch<F>(field + rows.start[0] + s);
  }
}

/// (x, z) turned by an angle from x towards z.
template <class F>
SONORAY_HD SONORAY_INLINE void turn(F angle, F& x, F& z) {
  F sine, cosine;
  const F turns = angle * 0.159154943f;
  sincos_turns(turns - nearest(turns), sine, cosine);
  const F before = x;
  x = before * cosine - z * sine;
  z = before * sine + z * cosine;
}

/// The wave of the sources at s, without the factor of the point, and the direction in which it arrives.
template <class F>
struct Wave {
  F real, imaginary, x, z;
};

template <class F, bool Coarse, bool Weighted, bool Directed>
SONORAY_HD SONORAY_INLINE Wave<F> wave(const BornWaves& w, const Rows& rows, float x, float z, std::int64_t s) {
  const BornFields& g = w.fields;
  const std::int64_t n = g.sources.shape[1];
  const F dx = x - fetch<F>(g.sources.data + s), dz = z - fetch<F>(g.sources.data + n + s);
  const F square = dx * dx + dz * dz, distance = root(square);
  // The asymptotic wave is singular at its source; nearer than 1 / k it keeps the amplitude of there.
  const float nearby = 0.159154943f * g.reference_sound_speed / w.frequency;
  const F inverse = 1.0f / (distance < nearby ? F{} + nearby : distance);
  F amplitude = root(focusing_at<F, Coarse>(g.focusing.data, rows, s) * inverse);
  F excess = value<F, Coarse>(g.excess.data, rows, s);
  if (g.absorption) {
    const F gathered = value<F, Coarse>(g.absorption.data, rows, s), exponent = w.gain * gathered, cap = F{} + w.cap;
    amplitude = amplitude * simd::exponential(exponent < cap ? exponent : cap);
    excess = excess + w.delay * gathered;
  }
  // Turns of the straight path are reduced before the small rest is added.
  F turns = distance * (w.frequency / g.reference_sound_speed);
  turns = turns - nearest(turns) + (excess * w.frequency + 0.125f);
  if (g.caustics) turns = turns - 0.25f * fetch<F>(g.caustics.data + rows.closest + s);
  Wave<F> result{};
  if constexpr (Weighted) {
    F ox = dx * inverse, oz = dz * inverse;
    if constexpr (Directed) {
      result.x = ox;
      result.z = oz;
      if (g.arrival) turn(value<F, Coarse>(g.arrival.data, rows, s), result.x, result.z);
    }
    if (g.take_off) turn(value<F, Coarse>(g.take_off.data, rows, s), ox, oz);
    const F across = fetch<F>(w.facing.data + s) * ox + fetch<F>(w.facing.data + n + s) * oz;
    amplitude = amplitude * ((across < 0.0f ? -across : across) + fetch<F>(w.facing.data + 2 * n + s));
  }
  F sine, cosine;
  sincos_turns(turns - nearest(turns), sine, cosine);
  result.real = amplitude * cosine;
  result.imaginary = amplitude * sine;
  return result;
}

inline void check_waves(const BornWaves& w, const View<std::complex<float>, 3>& out) {
  const BornFields& g = w.fields;
  const std::int64_t n_sources = g.sources.shape[1], n_points = w.points.shape[1];
  const bool coarse = g.shape[0] != 0;
  require(g.sources.shape[0] == 2 && w.points.shape[0] == 2, "sources, points: expected x and z");
  if (coarse)
    require(g.shape[0] >= 2 && g.shape[1] >= 2 && g.spacing[0] > 0.0f && g.spacing[1] > 0.0f,
            "grid: expected at least 2 x 2 nodes with a positive spacing");
  const std::int64_t n_nodes = coarse ? g.shape[0] * g.shape[1] : n_points;
  const auto fits = [&](const auto& field, const char* name, bool needed) {
    if (!field && !needed) return;
    require(field.shape[0] == n_nodes && field.shape[1] == n_sources,
            std::string(name) + ": expected (" + std::to_string(n_nodes) + ", " + std::to_string(n_sources) +
                "), got (" + std::to_string(field.shape[0]) + ", " + std::to_string(field.shape[1]) + ")");
  };
  fits(g.excess, "excess", true);
  fits(g.focusing, "focusing", true);
  fits(g.absorption, "absorption", false);
  fits(g.take_off, "take_off", false);
  fits(g.arrival, "arrival", false);
  fits(g.caustics, "caustics", false);
  require(w.scale.shape[0] == n_points, "scale: expected one number per point");
  require(!w.facing || (w.facing.shape[0] == 3 && w.facing.shape[1] == n_sources), "facing: expected (3, sources)");
  require(out.shape[0] == 1 || (out.shape[0] == 3 && w.facing), "out: expected 1 plane, or 3 with facing");
  require(out.shape[1] == n_points && out.shape[2] == n_sources, "out: expected (planes, points, sources)");
  require(w.frequency > 0.0f && g.reference_sound_speed > 0.0f, "frequency, sound speed: expected positive numbers");
}

inline void check_rowdot(const View<const std::complex<float>, 3>& a, const View<const std::complex<float>, 3>& b,
                         const View<const float, 1>& factor, const View<std::complex<float>, 1>& out) {
  for (int d = 0; d < 3; ++d) require(a.shape[d] == b.shape[d], "a, b: expected equal shapes");
  require(factor.shape[0] == a.shape[0], "factor: expected one number per plane");
  require(out.shape[0] == a.shape[1], "out: expected one number per point");
}

}  // namespace sonoray::born_kernel
