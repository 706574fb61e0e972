#pragma once
// Minimum-variance beamforming: the covariance of subarrays and Capon's weights.
//
// Lanes may have different numbers of signals m and lengths of subarrays L: rows beyond a lane's own L are those of the
// identity, with nothing to weigh, and so change nothing.
#include "beamforming/aperture.h"

namespace sonoray::capon_kernel {

using namespace aperture;

/// Number of a lower triangle's entry (i, j), j <= i.
SONORAY_HD SONORAY_INLINE std::int64_t entry(int i, int j) { return std::int64_t(i) * (i + 1) / 2 + j; }

SONORAY_HD SONORAY_INLINE int subarray_length(float count, float fraction) {
  const int n = static_cast<int>(count * fraction + 1e-4f);  // 1e-4: half of 10 is 5
  return n > 1 ? n : 1;
}

/// Columns of working memory for n signals of `temporal` samples.
SONORAY_HD SONORAY_INLINE std::int64_t columns_of(int n, int temporal, float fraction, bool eigenspace) {
  const std::int64_t length = subarray_length(static_cast<float>(n), fraction);
  return 4 * std::int64_t(n) * temporal + length * (length + 1) + (eigenspace ? 10 : 6) * length;
}

/// Subarrays of the active signals, which were moved together.
template <class F>
struct Subarrays {
  Column<F> re, im;                ///< (temporal, n) active signals first, then zeros
  Column<F> late_re, late_im;      ///< (temporal, n) the same from entry K on: what enters as a subarray's last
  Column<F> matrix_re, matrix_im;  ///< lower triangle of the covariance, of which only ratios matter
  Column<F> mean_re, mean_im;      ///< (longest) mean of the subarrays at the point's own sample
  Column<F> rest;
  F length, number;  ///< L, and K = m - L + 1
  int longest, most;
};

template <class F>
SONORAY_HD SONORAY_INLINE Subarrays<F> subarrays(const Aperture<F>& a, float fraction, Column<F> columns) {
  const int n = a.n, slabs = n * a.temporal;
  Subarrays<F> s;
  s.re = columns;
  s.im = columns.after(slabs);
  s.late_re = columns.after(2 * slabs);
  s.late_im = columns.after(3 * slabs);
  const float highest = largest_lane(a.count);
  s.longest = subarray_length(highest, fraction);
  s.most = static_cast<int>(highest) - s.longest + 1;
  const std::int64_t half = entry(s.longest, 0);
  s.matrix_re = columns.after(4 * std::int64_t(slabs));
  s.matrix_im = s.matrix_re.after(half);
  s.mean_re = s.matrix_im.after(half);
  s.mean_im = s.mean_re.after(s.longest);
  s.rest = s.mean_im.after(s.longest);
  const F lengths = simd::to_float<F>(simd::to_int(a.count * fraction + 1e-4f));
  s.length = largest_of(lengths, zero<F>() + 1.0f);
  s.number = a.count - s.length + 1.0f;
  const F whole = largest_of(s.number, zero<F>());
  for (int l = 0; l < lanes_of<F>; ++l) {
    int number;
    float scale;
    if constexpr (lanes_of<F> == 1) {
      number = static_cast<int>(whole);
      scale = a.scale;
    } else {
      number = static_cast<int>(whole[l]);
      scale = a.scale[l];
    }
    int j = 0;
    for (int k = 0; k < n; ++k) {
      if (a.mask.lane(k, l) == 0.0f) continue;
      for (int d = 0; d < a.temporal; ++d) {
        s.re.lane(d * n + j, l) = a.re.lane(d * a.slab + k, l) * scale;
        s.im.lane(d * n + j, l) = a.im.lane(d * a.slab + k, l) * scale;
      }
      ++j;
    }
    for (int d = 0; d < a.temporal; ++d) {
      for (int k = j; k < n; ++k) s.re.lane(d * n + k, l) = s.im.lane(d * n + k, l) = 0.0f;
      for (int k = 0; k < n; ++k) {
        s.late_re.lane(d * n + k, l) = k + number < n ? s.re.lane(d * n + k + number, l) : 0.0f;
        s.late_im.lane(d * n + k, l) = k + number < n ? s.im.lane(d * n + k + number, l) : 0.0f;
      }
    }
  }
  return s;
}

/// R_ij = sum over subarrays k and samples of x_(k + i) conj x_(k + j). Along a diagonal the sum loses its first term
/// and gains one, so the whole matrix takes L K + L^2 products instead of L^2 K / 2.
template <class F>
SONORAY_HD SONORAY_INLINE void covariance(const Aperture<F>& a, const Subarrays<F>& s) {
  const int n = a.n;
  for (int i = 0; i < s.longest; ++i) {
    F re = zero<F>(), im = re;
    for (int d = 0; d < a.temporal; ++d) {
      for (int k = 0; k < s.most; ++k) {
        const int at = d * n + k;
        const F counts = s.number > static_cast<float>(k) ? zero<F>() + 1.0f : zero<F>();
        const F y_re = s.re[at] * counts, y_im = s.im[at] * counts, x_re = s.re[at + i], x_im = s.im[at + i];
        re += x_re * y_re + x_im * y_im;
        im += x_im * y_re - x_re * y_im;
      }
    }
    s.matrix_re.set(entry(i, 0), re);
    s.matrix_im.set(entry(i, 0), im);
  }
  for (int i = 1; i < s.longest; ++i) {
    for (int j = 1; j <= i; ++j) {
      F re = s.matrix_re[entry(i - 1, j - 1)], im = s.matrix_im[entry(i - 1, j - 1)];
      for (int d = 0; d < a.temporal; ++d) {
        const int u = d * n + i - 1, v = d * n + j - 1;
        const F a_re = s.re[u], a_im = s.im[u], b_re = s.re[v], b_im = s.im[v];
        const F c_re = s.late_re[u], c_im = s.late_im[u], e_re = s.late_re[v], e_im = s.late_im[v];
        re += (c_re * e_re + c_im * e_im) - (a_re * b_re + a_im * b_im);
        im += (c_im * e_re - c_re * e_im) - (a_im * b_re - a_re * b_im);
      }
      s.matrix_re.set(entry(i, j), re);
      s.matrix_im.set(entry(i, j), im);
    }
  }
}

/// Whether row i belongs to a lane's subarray, as 1 or 0.
template <class F>
SONORAY_HD SONORAY_INLINE F in_subarray(const Subarrays<F>& s, int i) {
  return s.length > static_cast<float>(i) ? zero<F>() + 1.0f : zero<F>();
}

/// The means of the subarrays; returns what is added to the eigenvalues: loading times their mean, and a little so that
/// rounding leaves none negative.
template <class F>
SONORAY_HD SONORAY_INLINE F prepare(const Aperture<F>& a, const Subarrays<F>& s, float loading) {
  const int own = a.temporal / 2 * a.n;
  F re = zero<F>(), im = re, trace = re;
  for (int k = 0; k < s.most; ++k) {
    const F counts = s.number > static_cast<float>(k) ? zero<F>() + 1.0f : zero<F>();
    re += s.re[own + k] * counts;
    im += s.im[own + k] * counts;
  }
  const F inverse = 1.0f / largest_of(s.number, zero<F>() + 1.0f);
  for (int i = 0; i < s.longest; ++i) {
    const F inside = in_subarray(s, i);
    s.mean_re.set(i, re * inverse * inside);
    s.mean_im.set(i, im * inverse * inside);
    re += s.late_re[own + i] - s.re[own + i];
    im += s.late_im[own + i] - s.im[own + i];
    trace += s.matrix_re[entry(i, i)] * inside;
  }
  return trace / s.length * (loading + 1e-6f);
}

/// Minimum-variance value of a point, w^H mean with w = R^-1 1 / (1^H R^-1 1), by a Cholesky factorisation R = G G^H:
/// with y = G^-1 1 and z = G^-1 mean it is y^H z / y^H y. Times the number of signals (Synnevag, Austeng and Holm 2007,
/// eqs. 4, 6 and 9).
template <class F>
SONORAY_HD SONORAY_INLINE Complex<F> capon(const Aperture<F>& a, float fraction, float loading, Column<F> columns) {
  const Subarrays<F> s = subarrays(a, fraction, columns);
  covariance(a, s);
  const F load = prepare(a, s, loading);
  const Column<F> y_re = s.rest, y_im = y_re.after(s.longest), z_re = y_im.after(s.longest),
                  z_im = z_re.after(s.longest);
  const Column<F> g_re = s.matrix_re, g_im = s.matrix_im;
  F up_re = zero<F>(), up_im = up_re, down = up_re;
  for (int i = 0; i < s.longest; ++i) {
    const F inside = in_subarray(s, i);
    const Column<F> row_re = g_re.after(entry(i, 0)), row_im = g_im.after(entry(i, 0));
    F pivot = row_re[i] + load, a_re = inside, a_im = zero<F>(), b_re = s.mean_re[i], b_im = s.mean_im[i];
    for (int j = 0; j < i; ++j) {
      const Column<F> other_re = g_re.after(entry(j, 0)), other_im = g_im.after(entry(j, 0));
      F re = row_re[j], im = row_im[j];
      for (int k = 0; k < j; ++k) {
        const F u_re = row_re[k], u_im = row_im[k], v_re = other_re[k], v_im = other_im[k];
        re -= u_re * v_re + u_im * v_im;
        im -= u_im * v_re - u_re * v_im;
      }
      const F inverse = other_re[j] * inside;  // of the diagonal, whose inverse is what is kept
      re *= inverse;
      im *= inverse;
      row_re.set(j, re);
      row_im.set(j, im);
      pivot -= re * re + im * im;
      a_re -= re * y_re[j] - im * y_im[j];
      a_im -= re * y_im[j] + im * y_re[j];
      b_re -= re * z_re[j] - im * z_im[j];
      b_im -= re * z_im[j] + im * z_re[j];
    }
    // Rounding may take a pivot below what was added to it; a point without any signal has none.
    const F least = largest_of(0.1f * load, zero<F>() + 1e-20f);
    pivot = inside > 0.0f ? largest_of(pivot, least) : zero<F>() + 1.0f;
    const F inverse = 1.0f / simd::root(pivot);
    row_re.set(i, inverse);
    a_re *= inverse;
    a_im *= inverse;
    b_re *= inverse;
    b_im *= inverse;
    y_re.set(i, a_re);
    y_im.set(i, a_im);
    z_re.set(i, b_re);
    z_im.set(i, b_im);
    up_re += a_re * b_re + a_im * b_im;
    up_im += a_re * b_im - a_im * b_re;
    down += a_re * a_re + a_im * a_im;
  }
  const F factor = ratio(a.count, down);
  return {up_re * factor, up_im * factor};
}

}  // namespace sonoray::capon_kernel
