#pragma once
// Paraxial (dynamic) ray tracing in ray-centred coordinates: how the neighbours of a ray move relative to it.
//
//   dQ/ds = P / n,   dP/ds = (N - 2 g g^T / n) Q
//
// g, N: gradient and Hessian of n across the ray, in a frame that is transported parallel along it. Q is the offset of
// a neighbour per parameter of the bundle, P = n dQ/ds. Point source: Q = 0, P = n I, so Q is offset per radian of the
// take-off direction. Plane wave: Q = I, P = 0. 2-D: scalars; 3-D: 2 x 2, row-major, rows count the frame's vectors.
#include "core/exec.h"
#include "core/lanes.h"

namespace sonoray::tracing {

/// Components of Q (and of P) of one solution.
template <int D>
inline constexpr int spread_size = D == 2 ? 1 : 4;

/// A unit vector across the unit direction t. 2-D: t turned by 90 degrees, x to z. The same t gives the same vector.
template <int D, class N>
SONORAY_HD SONORAY_INLINE void across(const N* t, N* e) {
  using namespace lanes;
  if constexpr (D == 2) {
    e[0] = -t[1];
    e[1] = t[0];
  } else {
    const mask_of<N> steep = absolute<N>(t[0]) < 0.6;  // then x is far from t, otherwise y is
    const N axis[3] = {pick<N>(steep, same<N>(1.0), N{}), pick<N>(steep, N{}, same<N>(1.0)), N{}};
    const N along = axis[0] * t[0] + axis[1] * t[1];
    N square = N{};
    for (int d = 0; d < 3; ++d) {
      e[d] = axis[d] - along * t[d];
      square += e[d] * e[d];
    }
    const N scale = 1.0 / root<N>(square);
    for (int d = 0; d < 3; ++d) e[d] *= scale;
  }
}

/// The frame's second vector: t x e.
template <class N>
SONORAY_HD SONORAY_INLINE void cross(const N* t, const N* e, N* f) {
  f[0] = t[1] * e[2] - t[2] * e[1];
  f[1] = t[2] * e[0] - t[0] * e[2];
  f[2] = t[0] * e[1] - t[1] * e[0];
}

/// det Q: ray tube area per steradian in 3-D, width per radian in 2-D; negative past an odd number of caustics.
template <int D, class N>
SONORAY_HD SONORAY_INLINE N jacobian(const N* q) {
  if constexpr (D == 2) return q[0];
  return q[0] * q[3] - q[1] * q[2];
}

/// Matrix of dP/ds = (...) Q: one component in 2-D, three (11, 12, 22) in 3-D. `inverse` is 1 / n.
template <int D, class N>
SONORAY_HD SONORAY_INLINE void focusing(const N* t, const N* e, const N* gradient, const N* hessian, N inverse, N* m) {
  if constexpr (D == 2) {
    const N slope = gradient[0] * e[0] + gradient[1] * e[1];
    m[0] = hessian[0] * e[0] * e[0] + 2.0 * hessian[1] * e[0] * e[1] + hessian[2] * e[1] * e[1] -
           2.0 * inverse * slope * slope;
  } else {
    N f[3];
    cross(t, e, f);
    N he[3], hf[3];
    const int index[3][3] = {{0, 1, 2}, {1, 3, 4}, {2, 4, 5}};
    N ge = N{}, gf = N{};
    for (int i = 0; i < 3; ++i) {
      he[i] = hf[i] = N{};
      for (int j = 0; j < 3; ++j) {
        he[i] += hessian[index[i][j]] * e[j];
        hf[i] += hessian[index[i][j]] * f[j];
      }
      ge += gradient[i] * e[i];
      gf += gradient[i] * f[i];
    }
    m[0] = m[1] = m[2] = N{};
    for (int i = 0; i < 3; ++i) {
      m[0] += e[i] * he[i];
      m[1] += f[i] * he[i];
      m[2] += f[i] * hf[i];
    }
    m[0] -= 2.0 * inverse * ge * ge;
    m[1] -= 2.0 * inverse * ge * gf;
    m[2] -= 2.0 * inverse * gf * gf;
  }
}

/// dQ/ds and dP/ds of one solution.
template <int D, class N>
SONORAY_HD SONORAY_INLINE void paraxial_rates(const N* m, N inverse, const N* q, const N* p, N* dq, N* dp) {
  for (int i = 0; i < spread_size<D>; ++i) dq[i] = inverse * p[i];
  if constexpr (D == 2) {
    dp[0] = m[0] * q[0];
  } else {
    for (int j = 0; j < 2; ++j) {
      dp[j] = m[0] * q[j] + m[1] * q[2 + j];
      dp[2 + j] = m[1] * q[j] + m[2] * q[2 + j];
    }
  }
}

/// Caustics between two points of a ray (KMAH index gained): how many eigenvalues of now * before^-1, which is nearly
/// I + symmetric, are negative; both are where the ray passes a point focus.
template <int D, class N>
SONORAY_HD SONORAY_INLINE N caustics_between(const N* before, const N* now) {
  using namespace lanes;
  const N sign = pick<N>(jacobian<D, N>(before) < N{}, same<N>(-1.0), same<N>(1.0));
  const N odd = pick<N>(jacobian<D, N>(now) * sign < N{}, same<N>(1.0), N{});
  if constexpr (D == 2) return odd;
  const N trace = now[0] * before[3] - now[1] * before[2] + now[3] * before[0] - now[2] * before[1];
  return pick<N>(odd > N{}, odd, pick<N>(trace * sign < N{}, same<N>(2.0), N{}));
}

}  // namespace sonoray::tracing
