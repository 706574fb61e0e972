#pragma once
// Eigenspace-based minimum variance: Capon's weights, projected onto the strong eigenvectors of the covariance.
//
// With R = Q Z D Z^T Q^H (Householder reflections to a real tridiagonal matrix, then its eigenvectors Z), only the
// vectors 1 and mean have to be turned by Q^H and Z^T: no eigenvector is ever formed.
#include "beamforming/capon_kernel.h"

namespace sonoray::eigenspace_kernel {

using namespace aperture;
using capon_kernel::entry;

SONORAY_HD SONORAY_INLINE float root1(float x) { return simd::root<float>(x); }

SONORAY_HD SONORAY_INLINE float hypotenuse(float a, float b) { return root1(a * a + b * b); }

/// v becomes (I - tau v v^H)^H applied to x, v being 1 at entry `first` and zero before.
template <class F>
SONORAY_HD SONORAY_INLINE void reflect(Column<F> v_re, Column<F> v_im, Complex<F> tau, int first, int n, Column<F> x_re,
                                       Column<F> x_im) {
  F re = zero<F>(), im = re;
  for (int k = first; k < n; ++k) {
    re += v_re[k] * x_re[k] + v_im[k] * x_im[k];
    im += v_re[k] * x_im[k] - v_im[k] * x_re[k];
  }
  const F c = tau.re * re + tau.im * im, d = tau.re * im - tau.im * re;  // conj(tau) v^H x
  for (int k = first; k < n; ++k) {
    x_re.set(k, x_re[k] - (c * v_re[k] - d * v_im[k]));
    x_im.set(k, x_im[k] - (c * v_im[k] + d * v_re[k]));
  }
}

/// The Householder vector of column i below its diagonal, in v; returns tau and the entry that remains.
template <class F>
SONORAY_HD SONORAY_INLINE F householder(Column<F> a_re, Column<F> a_im, int i, int n, Column<F> v_re, Column<F> v_im,
                                        Complex<F>& tau) {
  const F alpha_re = a_re[entry(i + 1, i)], alpha_im = a_im[entry(i + 1, i)];
  F square = alpha_re * alpha_re + alpha_im * alpha_im;
  for (int k = i + 2; k < n; ++k) {
    const F re = a_re[entry(k, i)], im = a_im[entry(k, i)];
    square += re * re + im * im;
  }
  const F norm = simd::root(square), beta = alpha_re >= 0.0f ? -norm : norm;
  const F one = zero<F>() + 1.0f, safe = norm > 0.0f ? beta : one;
  tau.re = norm > 0.0f ? (beta - alpha_re) / safe : zero<F>();
  tau.im = norm > 0.0f ? -alpha_im / safe : zero<F>();
  const F u = alpha_re - beta, size = u * u + alpha_im * alpha_im, inverse = 1.0f / (size > 0.0f ? size : one);
  v_re.set(i + 1, one);
  v_im.set(i + 1, zero<F>());
  for (int k = i + 2; k < n; ++k) {
    const F re = a_re[entry(k, i)], im = a_im[entry(k, i)];
    v_re.set(k, (re * u + im * alpha_im) * inverse);
    v_im.set(k, (im * u - re * alpha_im) * inverse);
  }
  return norm > 0.0f ? beta : zero<F>();
}

/// A becomes H^H A H on rows and columns from `first` on, H = I - tau v v^H; p is working memory.
template <class F>
SONORAY_HD SONORAY_INLINE void similarity(Column<F> a_re, Column<F> a_im, int first, int n, Column<F> v_re,
                                          Column<F> v_im, Complex<F> tau, Column<F> p_re, Column<F> p_im) {
  for (int k = first; k < n; ++k) {
    const Column<F> row_re = a_re.after(entry(k, 0)), row_im = a_im.after(entry(k, 0));
    const F w_re = v_re[k], w_im = v_im[k];
    F re = row_re[k] * w_re, im = row_re[k] * w_im;
    for (int l = first; l < k; ++l) {
      const F b_re = row_re[l], b_im = row_im[l];
      re += b_re * v_re[l] - b_im * v_im[l];
      im += b_re * v_im[l] + b_im * v_re[l];
      p_re.set(l, p_re[l] + (b_re * w_re + b_im * w_im));
      p_im.set(l, p_im[l] + (b_re * w_im - b_im * w_re));
    }
    p_re.set(k, re);
    p_im.set(k, im);
  }
  F dot_re = zero<F>(), dot_im = dot_re;  // (tau A v)^H v
  for (int k = first; k < n; ++k) {
    const F re = tau.re * p_re[k] - tau.im * p_im[k], im = tau.re * p_im[k] + tau.im * p_re[k];
    p_re.set(k, re);
    p_im.set(k, im);
    dot_re += re * v_re[k] + im * v_im[k];
    dot_im += re * v_im[k] - im * v_re[k];
  }
  const F c = -0.5f * (tau.re * dot_re - tau.im * dot_im), d = -0.5f * (tau.re * dot_im + tau.im * dot_re);
  for (int k = first; k < n; ++k) {
    const F re = v_re[k], im = v_im[k];
    p_re.set(k, p_re[k] + (c * re - d * im));
    p_im.set(k, p_im[k] + (c * im + d * re));
  }
  for (int k = first; k < n; ++k) {
    const Column<F> row_re = a_re.after(entry(k, 0)), row_im = a_im.after(entry(k, 0));
    const F x_re = v_re[k], x_im = v_im[k], y_re = p_re[k], y_im = p_im[k];
    for (int l = first; l <= k; ++l) {  // - v p^H - p v^H
      const F q_re = p_re[l], q_im = p_im[l], u_re = v_re[l], u_im = v_im[l];
      row_re.set(l, row_re[l] - (x_re * q_re + x_im * q_im) - (y_re * u_re + y_im * u_im));
      row_im.set(l, row_im[l] - (x_im * q_re - x_re * q_im) - (y_im * u_re - y_re * u_im));
    }
  }
}

/// Eigenvalues d of the tridiagonal matrix with diagonal d and neighbours e, of n numbers, by implicit QL; `turned`
/// are four columns that the rotations turn, too. One lane.
template <class F>
SONORAY_HD SONORAY_INLINE void diagonalize(Column<F> d, Column<F> e, int n, const Column<F>* turned, int lane) {
  float largest = 0.0f;
  for (int i = 0; i < n; ++i) {
    const float size = size_of(d.lane(i, lane)) + (i + 1 < n ? size_of(e.lane(i, lane)) : 0.0f);
    largest = size > largest ? size : largest;
  }
  const float negligible = 1e-9f * largest;  // far below the loading, so that tiny eigenvalues cost no iterations
  for (int l = 0; l < n; ++l) {
    for (int round = 0; round < 40; ++round) {
      int m = l;
      for (; m + 1 < n; ++m) {
        const float size = size_of(d.lane(m, lane)) + size_of(d.lane(m + 1, lane));
        if (size_of(e.lane(m, lane)) <= 6e-8f * size + negligible) break;
      }
      if (m == l) break;
      float g = (d.lane(l + 1, lane) - d.lane(l, lane)) / (2.0f * e.lane(l, lane));
      float r = hypotenuse(g, 1.0f);
      g = d.lane(m, lane) - d.lane(l, lane) + e.lane(l, lane) / (g + (g >= 0.0f ? r : -r));
      float sine = 1.0f, cosine = 1.0f, p = 0.0f;
      int i = m - 1;
      for (; i >= l; --i) {
        const float f = sine * e.lane(i, lane), b = cosine * e.lane(i, lane);
        r = hypotenuse(f, g);
        e.lane(i + 1, lane) = r;
        if (r == 0.0f) {
          d.lane(i + 1, lane) -= p;
          e.lane(m, lane) = 0.0f;
          break;
        }
        sine = f / r;
        cosine = g / r;
        g = d.lane(i + 1, lane) - p;
        r = (d.lane(i, lane) - g) * sine + 2.0f * cosine * b;
        p = sine * r;
        d.lane(i + 1, lane) = g + p;
        g = cosine * r - b;
        for (int c = 0; c < 4; ++c) {
          float &low = turned[c].lane(i, lane), &high = turned[c].lane(i + 1, lane);
          const float t = high;
          high = sine * low + cosine * t;
          low = cosine * low - sine * t;
        }
      }
      if (r == 0.0f && i >= l) continue;
      d.lane(l, lane) -= p;
      e.lane(l, lane) = g;
      e.lane(m, lane) = 0.0f;
    }
  }
}

/// Capon's weights on the eigenvectors whose eigenvalue, before loading, is at least threshold times the largest (Asl
/// and Mahloojifar 2010, eqs. 13 to 15), times the number of signals.
template <class F>
SONORAY_HD SONORAY_INLINE Complex<F> eigenspace(const Aperture<F>& a, float fraction, float loading, float threshold,
                                                Column<F> columns) {
  const capon_kernel::Subarrays<F> s = capon_kernel::subarrays(a, fraction, columns);
  capon_kernel::covariance(a, s);
  const F load = capon_kernel::prepare(a, s, loading);
  const int n = s.longest;
  const Column<F> v_re = s.rest, v_im = v_re.after(n), p_re = v_im.after(n), p_im = p_re.after(n);
  const Column<F> one_re = p_im.after(n), one_im = one_re.after(n), d = one_im.after(n), e = d.after(n);
  for (int i = 0; i < n; ++i) {
    const F inside = capon_kernel::in_subarray(s, i);
    one_re.set(i, inside);
    one_im.set(i, zero<F>());
    for (int j = 0; j <= i; ++j) {  // no eigenvalues but zeros beyond a lane's own rows
      s.matrix_re.set(entry(i, j), s.matrix_re[entry(i, j)] * inside);
      s.matrix_im.set(entry(i, j), s.matrix_im[entry(i, j)] * inside);
    }
  }
  for (int i = 0; i + 1 < n; ++i) {
    Complex<F> tau;
    e.set(i, householder(s.matrix_re, s.matrix_im, i, n, v_re, v_im, tau));
    d.set(i, s.matrix_re[entry(i, i)]);
    similarity(s.matrix_re, s.matrix_im, i + 1, n, v_re, v_im, tau, p_re, p_im);
    reflect(v_re, v_im, tau, i + 1, n, one_re, one_im);
    reflect(v_re, v_im, tau, i + 1, n, s.mean_re, s.mean_im);
  }
  d.set(n - 1, s.matrix_re[entry(n - 1, n - 1)]);
  e.set(n - 1, zero<F>());
  const Column<F> turned[4] = {one_re, one_im, s.mean_re, s.mean_im};
  for (int l = 0; l < lanes_of<F>; ++l) diagonalize(d, e, n, turned, l);
  F largest = zero<F>(), up_re = largest, up_im = largest, down = largest;
  for (int i = 0; i < n; ++i) largest = largest_of(largest, d[i]);
  for (int i = 0; i < n; ++i) {
    const F loaded = largest_of(d[i], zero<F>()) + load;
    const F inverse = ratio(zero<F>() + 1.0f, loaded);
    const F u_re = one_re[i], u_im = one_im[i], w_re = s.mean_re[i], w_im = s.mean_im[i];
    const F kept = d[i] >= largest * threshold ? inverse : zero<F>();
    down += (u_re * u_re + u_im * u_im) * inverse;
    up_re += (u_re * w_re + u_im * w_im) * kept;
    up_im += (u_re * w_im - u_im * w_re) * kept;
  }
  const F factor = ratio(a.count, down);
  return {up_re * factor, up_im * factor};
}

}  // namespace sonoray::eigenspace_kernel
