#include "media/interpolation.h"

#include <cmath>
#include <vector>

#include "core/error.h"
#include "core/for_each.h"

namespace sonoray::interpolation {
namespace {

/// Samples to coefficients along one axis: `n` of them `stride` apart from `c` on, the same for `lanes` neighbours;
/// c[-stride] and c[n * stride] are filled, too.
///
/// cubic: (c[i - 1] + 4 c[i] + c[i + 1]) / 6 is the sample i. At both ends the third derivative is continuous across
/// the second point ("not a knot"), so that the order of accuracy is the same everywhere; it gives the second
/// coefficient at once, and the rest is tridiagonal, with factors that tend to the pole sqrt(3) - 2.
class AlongAxis {
 public:
  AlongAxis(std::int64_t n, Kind kind) : n_(n), kind_(kind), factor_(n) {
    double e = 0;
    for (std::int64_t i = 2; i < n - 2; ++i) factor_[i] = e = 1.0 / (4.0 - e);
  }

  void operator()(double* c, std::int64_t stride, std::int64_t lanes) const {
    for (std::int64_t l = 0; l < lanes; ++l) {
      if (kind_ != Kind::cubic || n_ < 3)
        extend(c + l, stride, 2.0, -1.0, 0.0);
      else if (n_ == 3)
        parabola(c + l, stride);
    }
    if (kind_ == Kind::cubic && n_ > 3) spline(c, stride, lanes);
  }

 private:
  void extend(double* c, std::int64_t stride, double a, double b, double third) const {
    double* const last = c + (n_ - 1) * stride;
    c[-stride] = a * c[0] + b * c[stride] + (third != 0 ? third * c[2 * stride] : 0.0);
    last[stride] = a * last[0] + b * last[-stride] + (third != 0 ? third * last[-2 * stride] : 0.0);
  }

  void parabola(double* c, std::int64_t stride) const {
    const double bend = (c[0] - 2.0 * c[stride] + c[2 * stride]) / 6.0;
    for (int i = 0; i < 3; ++i) c[i * stride] -= bend;
    extend(c, stride, 3.0, -3.0, 1.0);
  }

  void spline(double* c, std::int64_t stride, std::int64_t lanes) const {
    double* const last = c + (n_ - 1) * stride;
    for (std::int64_t l = 0; l < lanes; ++l) {  // the pads keep the end samples until they are used
      c[l - stride] = c[l];
      last[l + stride] = last[l];
      const double first = c[l + stride], second_last = last[l - stride];
      c[l] = first;
      last[l] = second_last;
      const double v2 = c[l + 2 * stride], w2 = last[l - 2 * stride];
      c[l + stride] = (8.0 * first - c[l - stride] - v2) / 6.0;
      last[l - stride] = (8.0 * second_last - last[l + stride] - w2) / 6.0;
    }
    for (std::int64_t i = 2; i < n_ - 2; ++i)
      for (std::int64_t l = 0; l < lanes; ++l) {
        const double before = c[l + (i - 1) * stride];
        c[l + i * stride] = (6.0 * c[l + i * stride] - before) * (i == 2 ? 0.25 : factor_[i]);
      }
    for (std::int64_t i = n_ - 3; i >= 2; --i)
      for (std::int64_t l = 0; l < lanes; ++l) c[l + i * stride] -= factor_[i] * c[l + (i + 1) * stride];
    for (std::int64_t l = 0; l < lanes; ++l) {
      c[l] = 6.0 * c[l] - 4.0 * c[l + stride] - c[l + 2 * stride];
      last[l] = 6.0 * last[l] - 4.0 * last[l - stride] - last[l - 2 * stride];
      c[l - stride] = 6.0 * c[l - stride] - 4.0 * c[l] - c[l + stride];
      last[l + stride] = 6.0 * last[l + stride] - 4.0 * last[l] - last[l - stride];
    }
  }

  std::int64_t n_;
  Kind kind_;
  std::vector<double> factor_;
};

/// Coefficients at the points of the padded grid.
template <int D>
void make_coefficients(const Cpu& exec, const Points<D>& points, Kind kind, const double* samples, double* padded) {
  std::int64_t size[D], stride[D], total = 1;
  for (int d = D - 1; d >= 0; --d) {
    size[d] = points.shape[d] + 2;
    stride[d] = total;
    total *= size[d];
  }
  const std::int64_t nz = points.shape[D - 1], rows = D == 2 ? points.shape[0] : points.shape[0] * points.shape[1];
  const auto row_start = [&](std::int64_t row) {
    return D == 2 ? (row + 1) * stride[0] + 1
                  : (row / points.shape[1] + 1) * stride[0] + (row % points.shape[1] + 1) * stride[D - 2] + 1;
  };
  for_each(
      exec, rows,
      [&](std::int64_t row) {
        for (std::int64_t z = 0; z < nz; ++z) padded[row_start(row) + z] = samples[row * nz + z];
      },
      64);
  // Each axis in turn, over the pads of those before it.
  constexpr std::int64_t block = 64;
  for (int d = 0; d < D; ++d) {
    const AlongAxis filter(points.shape[d], kind);
    const std::int64_t inner = stride[d], outer = total / (size[d] * inner);
    const std::int64_t blocks = d == D - 1 ? 1 : (inner + block - 1) / block;
    for_each(
        exec, outer * blocks,
        [&](std::int64_t k) {
          const std::int64_t first = d == D - 1 ? 0 : k % blocks * block;
          double* const c = padded + k / blocks * size[d] * inner + inner + first;
          filter(c, inner, d == D - 1 ? 1 : inner - first < block ? inner - first : block);
        },
        4);
  }
}

/// Four B-spline coefficients to the polynomial between the middle two.
void to_powers(const double* c, std::int64_t from, double* a, std::int64_t to) {
  const double c0 = c[0], c1 = c[from], c2 = c[2 * from], c3 = c[3 * from];
  a[0] = (c0 + 4.0 * c1 + c2) / 6.0;
  a[to] = 0.5 * (c2 - c0);
  a[2 * to] = 0.5 * (c0 - 2.0 * c1 + c2);
  a[3 * to] = (c3 - c0 + 3.0 * (c1 - c2)) / 6.0;
}

}  // namespace

template <int D>
void make_field(const Cpu& exec, const Points<D>& points, Kind kind, const double* samples, double* data) {
  check_grid(points);
  if (kind == Kind::linear) return make_coefficients(exec, points, kind, samples, data);
  std::int64_t total = 1;
  for (int d = 0; d < D; ++d) total *= points.shape[d] + 2;
  std::vector<double> padded(total);
  make_coefficients(exec, points, kind, samples, padded.data());
  const std::int64_t cells = points.shape[D - 1] - 1, row = cells + 3;
  if constexpr (D == 2) {
    for_each(
        exec, points.shape[0] - 1,
        [&](std::int64_t i) {
          double half[4][4];
          for (std::int64_t k = 0; k < cells; ++k) {
            for (int r = 0; r < 4; ++r) to_powers(padded.data() + (i + r) * row + k, 1, half[r], 1);
            for (int p = 0; p < 4; ++p) to_powers(&half[0][p], 4, data + 16 * (i * cells + k) + p, 4);
          }
        },
        4);
  } else {
    for_each(
        exec, total / row,
        [&](std::int64_t i) {
          for (std::int64_t k = 0; k < cells; ++k)
            to_powers(padded.data() + i * row + k, 1, data + 4 * (i * cells + k), 1);
        },
        16);
  }
}

template <class Exec, int D>
void interpolate(const Exec& exec, const Field<D>& field, View<const double, 2> points, int order,
                 View<double, 2> out) {
  check_points<D>(points, order, out);
  for_each(
      exec, points.shape[0],
      [&](std::int64_t k) { sample_row<D>(field, points.data + k * D, order, out.data + k * out.shape[1]); }, 1024);
}

#define SONORAY_INTERPOLATION(D)                                                        \
  template void make_field(const Cpu&, const Points<D>&, Kind, const double*, double*); \
  template void interpolate(const Cpu&, const Field<D>&, View<const double, 2>, int, View<double, 2>);
SONORAY_INTERPOLATION(2)
SONORAY_INTERPOLATION(3)
#undef SONORAY_INTERPOLATION

}  // namespace sonoray::interpolation
