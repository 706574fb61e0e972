#pragma once
// A field between the points of its grid: value, gradient and Hessian at a point. Tensor products of four weights per
// axis; what differs between the kinds are the weights and the coefficients (interpolation.cpp), not the stencil.
#include <cstdint>

#include "core/exec.h"
#include "core/lanes.h"

namespace sonoray::interpolation {

/// linear: value linear in each axis, gradient from central differences on the grid, interpolated alike; no Hessian.
/// smoothing: cubic B-spline with the samples themselves as coefficients: smooths by (h^2 / 6) Laplacian.
/// cubic: cubic B-spline through the samples.
enum class Kind { linear, smoothing, cubic };

/// Coefficients on a grid with one more point beyond each end of each axis, last axis fastest. D is 2 or 3.
template <int D>
struct Field {
  const double* coefficients = nullptr;  ///< of the first point beyond the grid, (n + 2) per axis; null: no field
  double stride[D] = {};                 ///< in coefficients
  double origin[D] = {};                 ///< [m] first point of the grid
  double inverse[D] = {};                ///< [1/m] of the spacing
  double last[D] = {};                   ///< n - 1 along each axis, at least 1
  Kind kind = Kind::cubic;

  SONORAY_HD SONORAY_INLINE explicit operator bool() const { return coefficients != nullptr; }
};

/// Second derivatives in the order xx, xz, zz or xx, xy, xz, yy, yz, zz; what `order` leaves out is not written.
template <int D, class N>
struct Sample {
  N value, gradient[D], hessian[D * (D + 1) / 2];
};

/// Weights of the four coefficients i - 1 to i + 2 at i + u for value, first and second derivative.
template <int order, class N>
SONORAY_HD SONORAY_INLINE void weights(Kind kind, N u, double inverse, N (&w)[3][4]) {
  const N v = 1.0 - u;
  if (kind == Kind::linear) {
    const double half = 0.5 * inverse;
    w[0][0] = w[0][3] = N{};
    w[0][1] = v;
    w[0][2] = u;
    if constexpr (order > 0) {
      w[1][0] = -half * v;
      w[1][1] = -half * u;
      w[1][2] = half * v;
      w[1][3] = half * u;
    }
    if constexpr (order > 1) w[2][0] = w[2][1] = w[2][2] = w[2][3] = N{};
    return;
  }
  const N uu = u * u, vv = v * v;
  w[0][0] = (1.0 / 6.0) * (vv * v);
  w[0][1] = uu * (0.5 * u - 1.0) + 2.0 / 3.0;
  w[0][2] = vv * (0.5 * v - 1.0) + 2.0 / 3.0;
  w[0][3] = (1.0 / 6.0) * (uu * u);
  if constexpr (order > 0) {
    const double half = 0.5 * inverse;
    w[1][0] = -half * vv;
    w[1][1] = inverse * (u * (1.5 * u - 2.0));
    w[1][2] = -inverse * (v * (1.5 * v - 2.0));
    w[1][3] = half * uu;
  }
  if constexpr (order > 1) {
    const double square = inverse * inverse;
    w[2][0] = square * v;
    w[2][1] = square * (3.0 * u - 2.0);
    w[2][2] = square * (3.0 * v - 2.0);
    w[2][3] = square * u;
  }
}

/// Sums over one row of four coefficients along the last axis: s[k] with the weights of the k-th derivative.
template <int order, class N>
SONORAY_HD SONORAY_INLINE void along_row(const double* p, const lanes::IndexOf<N>& at, const N (&w)[3][4], N (&s)[3]) {
  N c[4];
  lanes::load_rows<N>(p, at, c);
  for (int k = 0; k <= order; ++k) s[k] = w[k][0] * c[0] + w[k][1] * c[1] + (w[k][2] * c[2] + w[k][3] * c[3]);
}

/// The field at x [m]. Outside the grid it extends constantly: the nearest point's value, no slope across the edge.
/// `order` is the highest derivative that is wanted.
template <int order, int D, class N>
SONORAY_HD SONORAY_INLINE void sample(const Field<D>& f, const N* x, Sample<D, N>& out) {
  N w[D][3][4], inside[D], base = N{};
  for (int d = 0; d < D; ++d) {
    const N t = (x[d] - f.origin[d]) * f.inverse[d];
    const N low = lanes::larger<N>(N{}, t);  // in this order NaN would give 0
    const N held = lanes::smaller<N>(lanes::same<N>(f.last[d]), low);
    const N cell = lanes::smaller<N>(lanes::whole<N>(held), lanes::same<N>(f.last[d] - 1.0));
    inside[d] = lanes::pick<N>(held == t, lanes::same<N>(1.0), N{});
    base = base + cell * f.stride[d];
    weights<order>(f.kind, N(held - cell), f.inverse[d], w[d]);
  }
  const lanes::IndexOf<N> at = lanes::to_index<N>(base);
  // sum[i][j][k]: i-th derivative along the first axis, j-th along the second of three, k-th along the last
  if constexpr (D == 2) {
    N f0 = N{}, f1 = N{}, f2 = N{}, g0 = N{}, g1 = N{}, h0 = N{};
    for (int i = 0; i < 4; ++i) {
      N s[3];
      along_row<order>(f.coefficients + i * static_cast<std::int64_t>(f.stride[0]), at, w[1], s);
      f0 += w[0][0][i] * s[0];
      if constexpr (order > 0) {
        g0 += w[0][1][i] * s[0];
        f1 += w[0][0][i] * s[1];
      }
      if constexpr (order > 1) {
        h0 += w[0][2][i] * s[0];
        g1 += w[0][1][i] * s[1];
        f2 += w[0][0][i] * s[2];
      }
    }
    out.value = f0;
    if constexpr (order > 0) {
      out.gradient[0] = g0 * inside[0];
      out.gradient[1] = f1 * inside[1];
    }
    if constexpr (order > 1) {
      out.hessian[0] = h0 * inside[0];
      out.hessian[1] = g1 * (inside[0] * inside[1]);
      out.hessian[2] = f2 * inside[1];
    }
  } else {
    N a[3][3][3] = {};
    for (int i = 0; i < 4; ++i) {
      N b[3][3] = {};
      for (int j = 0; j < 4; ++j) {
        N s[3];
        along_row<order>(
            f.coefficients + i * static_cast<std::int64_t>(f.stride[0]) + j * static_cast<std::int64_t>(f.stride[1]),
            at, w[2], s);
        for (int q = 0; q <= order; ++q)
          for (int r = 0; q + r <= order; ++r) b[q][r] += w[1][q][j] * s[r];
      }
      for (int p = 0; p <= order; ++p)
        for (int q = 0; p + q <= order; ++q)
          for (int r = 0; p + q + r <= order; ++r) a[p][q][r] += w[0][p][i] * b[q][r];
    }
    out.value = a[0][0][0];
    if constexpr (order > 0) {
      out.gradient[0] = a[1][0][0] * inside[0];
      out.gradient[1] = a[0][1][0] * inside[1];
      out.gradient[2] = a[0][0][1] * inside[2];
    }
    if constexpr (order > 1) {
      out.hessian[0] = a[2][0][0] * inside[0];
      out.hessian[1] = a[1][1][0] * (inside[0] * inside[1]);
      out.hessian[2] = a[1][0][1] * (inside[0] * inside[2]);
      out.hessian[3] = a[0][2][0] * inside[1];
      out.hessian[4] = a[0][1][1] * (inside[1] * inside[2]);
      out.hessian[5] = a[0][0][2] * inside[2];
    }
  }
}

}  // namespace sonoray::interpolation
