#pragma once
// A field between the points of its grid: value, gradient and Hessian at a point.
#include <cstdint>

#include "core/exec.h"
#include "core/lanes.h"

namespace sonoray::interpolation {

/// linear: value linear in each axis, gradient from central differences on the grid, interpolated alike; no Hessian.
/// smoothing: cubic B-spline with the samples themselves as coefficients: smooths by (h^2 / 6) Laplacian.
/// cubic: cubic B-spline through the samples.
enum class Kind { linear, smoothing, cubic };

/// What `sample` reads, made by interpolation.cpp; D is 2 or 3, the last axis the fastest.
/// linear: samples at the points, one more beyond each end of each axis.
/// Splines, 2-D: of each cell the 4 x 4 coefficients of its polynomial, powers of z fastest: no weights to work out.
/// Splines, 3-D: coefficients at the points of a plane x, y (and one more beyond each end), of each the cells along z
/// with the 4 coefficients of their polynomial in z; full polynomials would take 64 numbers per cell.
template <int D>
struct Field {
  const double* data = nullptr;  ///< null: no field
  double stride[D] = {};         ///< numbers from one cell to the next
  double origin[D] = {};         ///< [m] first point of the grid
  double inverse[D] = {};        ///< [1/m] of the spacing
  double last[D] = {};           ///< n - 1 along each axis, at least 1
  Kind kind = Kind::cubic;

  SONORAY_HD SONORAY_INLINE explicit operator bool() const { return data != nullptr; }
};

/// Second derivatives in the order xx, xz, zz or xx, xy, xz, yy, yz, zz; what `order` leaves out is not written.
template <int D, class N>
struct Sample {
  N value, gradient[D], hessian[D * (D + 1) / 2];
};

/// Weights of the four B-spline coefficients i - 1 to i + 2 at i + u for value, first and half the second derivative,
/// for a spacing of 1.
template <int order, class N>
SONORAY_HD SONORAY_INLINE void spline_weights(N u, N (&w)[3][4]) {
  const N v = 1.0 - u, uu = u * u, vv = v * v;
  w[0][0] = (1.0 / 6.0) * (vv * v);
  w[0][1] = uu * (0.5 * u - 1.0) + 2.0 / 3.0;
  w[0][2] = vv * (0.5 * v - 1.0) + 2.0 / 3.0;
  w[0][3] = (1.0 / 6.0) * (uu * u);
  if constexpr (order > 0) {
    w[1][0] = -0.5 * vv;
    w[1][1] = u * (1.5 * u - 2.0);
    w[1][2] = v * (2.0 - 1.5 * v);
    w[1][3] = 0.5 * uu;
  }
  if constexpr (order > 1) {
    w[2][0] = 0.5 * v;
    w[2][1] = 1.5 * u - 1.0;
    w[2][2] = 1.5 * v - 1.0;
    w[2][3] = 0.5 * u;
  }
}

/// Horner's table with what is added per power, highest first: s[k] becomes the k-th derivative over k!.
template <int order, class N>
SONORAY_HD SONORAY_INLINE void horner(N u, N c, N* s) {
  for (int k = order; k > 0; --k) s[k] = s[k] * u + s[k - 1];
  s[0] = s[0] * u + c;
}

/// The polynomial along a row of four coefficients: s[k] is its k-th derivative over k!.
template <int order, class N>
SONORAY_HD SONORAY_INLINE void along_row(const double* p, const lanes::IndexOf<N>& at, N u, N (&s)[3]) {
  N c[4];
  lanes::load_rows<N>(p, at, c);
  s[0] = c[3];
  s[1] = s[2] = N{};
  // As horner(), less the products with zeros.
  const N b2 = c[3] * u + c[2], b1 = b2 * u + c[1];
  s[0] = b1 * u + c[0];
  if constexpr (order > 0) {
    const N d2 = c[3] * u + b2;
    s[1] = d2 * u + b1;
    if constexpr (order > 1) s[2] = c[3] * u + d2;
  }
}

/// Where x lies: the cell's first number, the position in it (0 to 1), 1 / spacing or 0 where x is outside.
template <int D, class N>
struct Place {
  lanes::IndexOf<N> at;
  N u[D], rate[D];
};

template <int D, class N>
SONORAY_HD SONORAY_INLINE Place<D, N> locate(const Field<D>& f, const N* x) {
  using namespace lanes;
  Place<D, N> place;
  N base = N{};
  for (int d = 0; d < D; ++d) {
    const N t = (x[d] - f.origin[d]) * f.inverse[d];
    const N held = smaller<N>(larger<N>(t, N{}), same<N>(f.last[d]));  // NaN gives 0
    const N cell = smaller<N>(whole<N>(held), same<N>(f.last[d] - 1.0));
    place.u[d] = held - cell;
    place.rate[d] = pick<N>(held == t, same<N>(f.inverse[d]), N{});
    base = base + cell * f.stride[d];
  }
  place.at = to_index<N>(base);
  return place;
}

template <int order, class N>
SONORAY_HD SONORAY_INLINE void sample_spline(const Field<2>& f, const N* x, Sample<2, N>& out) {
  const Place<2, N> place = locate<2, N>(f, x);
  N v[3] = {}, d[3] = {}, e[3] = {};  // derivatives along x of the value and of those along z
  SONORAY_UNROLLED
  for (int power = 3; power >= 0; --power) {
    N s[3];
    along_row<order>(f.data + 4 * power, place.at, place.u[1], s);
    if (power == 3) {
      v[0] = s[0];
      d[0] = s[1];
      e[0] = s[2];
      continue;
    }
    horner<order>(place.u[0], s[0], v);
    if constexpr (order > 0) horner<order - 1>(place.u[0], s[1], d);
    if constexpr (order > 1) horner<0>(place.u[0], s[2], e);
  }
  out.value = v[0];
  if constexpr (order > 0) {
    out.gradient[0] = place.rate[0] * v[1];
    out.gradient[1] = place.rate[1] * d[0];
  }
  if constexpr (order > 1) {
    out.hessian[0] = 2.0 * (place.rate[0] * place.rate[0]) * v[2];
    out.hessian[1] = place.rate[0] * place.rate[1] * d[1];
    out.hessian[2] = 2.0 * (place.rate[1] * place.rate[1]) * e[0];
  }
}

template <int order, class N>
SONORAY_HD SONORAY_INLINE void sample_spline(const Field<3>& f, const N* x, Sample<3, N>& out) {
  const Place<3, N> place = locate<3, N>(f, x);
  const std::int64_t along_x = static_cast<std::int64_t>(f.stride[0]), along_y = static_cast<std::int64_t>(f.stride[1]);
  N wx[3][4], wy[3][4];
  spline_weights<order>(place.u[0], wx);
  spline_weights<order>(place.u[1], wy);
  N a[3][3][3] = {};  // derivatives over factorials, first axis first
  SONORAY_ROLLED
  for (int i = 0; i < 4; ++i) {
    N b[3][3] = {};
    SONORAY_UNROLLED
    for (int j = 0; j < 4; ++j) {
      N s[3];
      along_row<order>(f.data + i * along_x + j * along_y, place.at, place.u[2], s);
      for (int q = 0; q <= order; ++q)
        for (int r = 0; q + r <= order; ++r) b[q][r] += wy[q][j] * s[r];
    }
    for (int p = 0; p <= order; ++p)
      for (int q = 0; p + q <= order; ++q)
        for (int r = 0; p + q + r <= order; ++r) a[p][q][r] += wx[p][i] * b[q][r];
  }
  const N* const rate = place.rate;
  out.value = a[0][0][0];
  if constexpr (order > 0) {
    out.gradient[0] = rate[0] * a[1][0][0];
    out.gradient[1] = rate[1] * a[0][1][0];
    out.gradient[2] = rate[2] * a[0][0][1];
  }
  if constexpr (order > 1) {
    out.hessian[0] = 2.0 * (rate[0] * rate[0]) * a[2][0][0];
    out.hessian[1] = rate[0] * rate[1] * a[1][1][0];
    out.hessian[2] = rate[0] * rate[2] * a[1][0][1];
    out.hessian[3] = 2.0 * (rate[1] * rate[1]) * a[0][2][0];
    out.hessian[4] = rate[1] * rate[2] * a[0][1][1];
    out.hessian[5] = 2.0 * (rate[2] * rate[2]) * a[0][0][2];
  }
}

template <int order, int D, class N>
SONORAY_HD SONORAY_OUTLINED void sample_linear(const Field<D>& f, const N* x, Sample<D, N>& out) {
  const Place<D, N> place = locate<D, N>(f, x);
  N w[D][2][4];
  for (int d = 0; d < D; ++d) {
    const N u = place.u[d], v = 1.0 - u;
    w[d][0][0] = w[d][0][3] = N{};
    w[d][0][1] = v;
    w[d][0][2] = u;
    w[d][1][0] = -0.5 * v;
    w[d][1][1] = -0.5 * u;
    w[d][1][2] = 0.5 * v;
    w[d][1][3] = 0.5 * u;
  }
  N sum[D + 1] = {};  // the value, then the differences along each axis
  SONORAY_ROLLED
  for (int i = 0; i < (D == 2 ? 4 : 16); ++i) {
    std::int64_t row = i % 4 * static_cast<std::int64_t>(f.stride[D - 2]);
    if constexpr (D == 3) row += i / 4 * static_cast<std::int64_t>(f.stride[0]);
    N c[4];
    lanes::load_rows<N>(f.data + row, place.at, c);
    const N value = w[D - 1][0][1] * c[1] + w[D - 1][0][2] * c[2];
    const N slope = w[D - 1][1][0] * c[0] + w[D - 1][1][1] * c[1] + (w[D - 1][1][2] * c[2] + w[D - 1][1][3] * c[3]);
    for (int k = 0; k <= (order > 0 ? D : 0); ++k) {
      N share = w[D - 2][k == D - 1 ? 1 : 0][i % 4];
      if constexpr (D == 3) share *= w[0][k == 1 ? 1 : 0][i / 4];
      sum[k] += share * (k == D ? slope : value);
    }
  }
  out.value = sum[0];
  if constexpr (order > 0)
    for (int d = 0; d < D; ++d) out.gradient[d] = place.rate[d] * sum[d + 1];
  if constexpr (order > 1)
    for (int i = 0; i < D * (D + 1) / 2; ++i) out.hessian[i] = N{};
}

/// The field at x [m]. Outside the grid it extends constantly: the nearest point's value, no slope across the edge.
/// `order` is the highest derivative that is wanted.
template <int order, int D, class N>
SONORAY_HD SONORAY_INLINE void sample(const Field<D>& f, const N* x, Sample<D, N>& out) {
  if (f.kind == Kind::linear)
    sample_linear<order, D, N>(f, x, out);
  else
    sample_spline<order, N>(f, x, out);
}

/// The value alone, of a field that is only integrated along rays.
template <int D, class N>
SONORAY_HD SONORAY_OUTLINED N sample_value(const Field<D>& f, const N* x) {
  Sample<D, N> s;
  sample<0, D, N>(f, x, s);
  return s.value;
}

}  // namespace sonoray::interpolation
