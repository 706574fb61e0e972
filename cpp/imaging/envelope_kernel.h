#pragma once
// A self-sorting (Stockham) Fourier transform of any length, one butterfly at a time: of a row (F is float), or of rows
// in the lanes of a vector. Two rows of real numbers are transformed as one of complex ones.
#include <cstdint>

#include "core/exec.h"
#include "imaging/envelope_levels.h"

namespace sonoray::envelope_kernel {

template <class F>
struct Signal {
  F *real, *imaginary;  ///< (n)
};

/// A rotation.
struct Turn {
  float c, s;
};

SONORAY_HD SONORAY_INLINE Turn turn_of(const EnvelopeTables& t, std::int64_t k) {
  return {t.roots[2 * k], t.roots[2 * k + 1]};
}

/// Output j of r, which is a sum over r inputs; `done` is the product of the factors before, m = n / done / r, p < m
/// and q < done say which butterfly. `turn` is that of p j done.
template <class F>
SONORAY_HD SONORAY_INLINE void any_output(const EnvelopeTables& t, int r, std::int64_t done, std::int64_t m,
                                          std::int64_t p, int j, std::int64_t q, Turn turn, const Signal<F>& x,
                                          const Signal<F>& y) {
  F re = F() + 0.0f, im = F() + 0.0f;
  for (int k = 0; k < r; ++k) {
    const float* w = t.roots + 2 * (static_cast<std::int64_t>(j) * k % r * (t.n / r));
    const std::int64_t at = q + done * (p + m * k);
    re += x.real[at] * w[0] - x.imaginary[at] * w[1];
    im += x.real[at] * w[1] + x.imaginary[at] * w[0];
  }
  const std::int64_t to = q + done * (static_cast<std::int64_t>(r) * p + j);
  y.real[to] = re * turn.c - im * turn.s;
  y.imaginary[to] = re * turn.s + im * turn.c;
}

/// All outputs of r = 4, whose inner rotations need no multiplications. Turns are those of p done, 2 p done, 3 p done.
template <class F>
SONORAY_HD SONORAY_INLINE void four_outputs(std::int64_t done, std::int64_t m, std::int64_t p, std::int64_t q, Turn one,
                                            Turn two, Turn three, const Signal<F>& x, const Signal<F>& y) {
  const std::int64_t at = q + done * p, apart = done * m, to = q + done * 4 * p;
  const F a = x.real[at], b = x.real[at + apart], c = x.real[at + 2 * apart], d = x.real[at + 3 * apart];
  const F e = x.imaginary[at], f = x.imaginary[at + apart], g = x.imaginary[at + 2 * apart];
  const F h = x.imaginary[at + 3 * apart];
  const F even = a + c, odd = b + d, even_i = e + g, odd_i = f + h;
  const F u = a - c, v = b - d, u_i = e - g, v_i = f - h;
  y.real[to] = even + odd;
  y.imaginary[to] = even_i + odd_i;
  const F re1 = u + v_i, im1 = u_i - v, re2 = even - odd, im2 = even_i - odd_i, re3 = u - v_i, im3 = u_i + v;
  y.real[to + done] = re1 * one.c - im1 * one.s;
  y.imaginary[to + done] = re1 * one.s + im1 * one.c;
  y.real[to + 2 * done] = re2 * two.c - im2 * two.s;
  y.imaginary[to + 2 * done] = re2 * two.s + im2 * two.c;
  y.real[to + 3 * done] = re3 * three.c - im3 * three.s;
  y.imaginary[to + 3 * done] = re3 * three.s + im3 * three.c;
}

/// Spectrum of two rows at frequency k to that of their Hilbert transforms: positive frequencies times -i, negative
/// ones times i, the mean and the highest times 0. Real and imaginary part are then written the other way round, which
/// turns the next transform into the inverse one.
template <class F>
SONORAY_HD SONORAY_INLINE void quadrature(std::int64_t k, std::int64_t n, F& real, F& imaginary) {
  const float sign = (2 * k == n || k == 0 ? 0.0f : 2 * k < n ? 1.0f : -1.0f) / static_cast<float>(n);
  const F re = real;
  real = re * -sign;
  imaginary = imaginary * sign;
}

}  // namespace sonoray::envelope_kernel
