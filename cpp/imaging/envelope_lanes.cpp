// A self-sorting (Stockham) Fourier transform of any length, eight pairs of rows in the lanes of a vector.
#include "core/simd.h"
#include "imaging/envelope_levels.h"

namespace sonoray {
namespace SONORAY_LEVEL {
namespace {

using F = simd::Float<envelope_lanes>;

struct Signal {
  F *real, *imaginary;  // (n)
};

/// One factor r of the length: every output is a sum over r inputs. `done` is the product of the factors before.
SONORAY_INLINE void step(const EnvelopeTables& t, int r, std::int64_t done, const Signal& x, const Signal& y) {
  const std::int64_t m = t.n / done / r;
  for (std::int64_t p = 0; p < m; ++p) {
    for (int j = 0; j < r; ++j) {
      const float* turn = t.roots + 2 * (p * j * done);
      const float c = turn[0], s = turn[1];
      for (std::int64_t q = 0; q < done; ++q) {
        F re = F() + 0.0f, im = F() + 0.0f;
        for (int k = 0; k < r; ++k) {
          const float* w = t.roots + 2 * (static_cast<std::int64_t>(j) * k % r * (t.n / r));
          const std::int64_t at = q + done * (p + m * k);
          re += x.real[at] * w[0] - x.imaginary[at] * w[1];
          im += x.real[at] * w[1] + x.imaginary[at] * w[0];
        }
        const std::int64_t to = q + done * (static_cast<std::int64_t>(r) * p + j);
        y.real[to] = re * c - im * s;
        y.imaginary[to] = re * s + im * c;
      }
    }
  }
}

/// Fours need no multiplications.
SONORAY_INLINE void step_four(const EnvelopeTables& t, std::int64_t done, const Signal& x, const Signal& y) {
  const std::int64_t m = t.n / done / 4;
  for (std::int64_t p = 0; p < m; ++p) {
    const float *w1 = t.roots + 2 * (p * done), *w2 = t.roots + 2 * (2 * p * done), *w3 = t.roots + 2 * (3 * p * done);
    for (std::int64_t q = 0; q < done; ++q) {
      const std::int64_t at = q + done * p, apart = done * m, to = q + done * 4 * p;
      const F a = x.real[at], b = x.real[at + apart], c = x.real[at + 2 * apart], d = x.real[at + 3 * apart];
      const F e = x.imaginary[at], f = x.imaginary[at + apart], g = x.imaginary[at + 2 * apart];
      const F h = x.imaginary[at + 3 * apart];
      const F even = a + c, odd = b + d, even_i = e + g, odd_i = f + h;
      const F u = a - c, v = b - d, u_i = e - g, v_i = f - h;
      y.real[to] = even + odd;
      y.imaginary[to] = even_i + odd_i;
      const F re1 = u + v_i, im1 = u_i - v, re2 = even - odd, im2 = even_i - odd_i, re3 = u - v_i, im3 = u_i + v;
      y.real[to + done] = re1 * w1[0] - im1 * w1[1];
      y.imaginary[to + done] = re1 * w1[1] + im1 * w1[0];
      y.real[to + 2 * done] = re2 * w2[0] - im2 * w2[1];
      y.imaginary[to + 2 * done] = re2 * w2[1] + im2 * w2[0];
      y.real[to + 3 * done] = re3 * w3[0] - im3 * w3[1];
      y.imaginary[to + 3 * done] = re3 * w3[1] + im3 * w3[0];
    }
  }
}

/// Of `a`, with `b` as the other half of the memory; the result is in `a`.
void transform(const EnvelopeTables& t, Signal& a, Signal& b) {
  std::int64_t done = 1;
  for (int i = 0; i < t.n_factors; done *= t.factors[i++]) {
    if (t.factors[i] == 4) {
      step_four(t, done, a, b);
    } else {
      step(t, t.factors[i], done, a, b);
    }
    const Signal swap = a;
    a = b;
    b = swap;
  }
}

}  // namespace

void envelope_block(const EnvelopeTables& t, const float* rf, int rows, float* envelope, float* scratch) {
  const std::int64_t n = t.n;
  F* const memory = reinterpret_cast<F*>(scratch);
  Signal a{memory, memory + n}, b{memory + 2 * n, memory + 3 * n};
  for (int row = 0; row < envelope_rows; ++row) {
    F* const to = row % 2 ? a.imaginary : a.real;
    for (std::int64_t i = 0; i < n; ++i) to[i][row / 2] = row < rows ? rf[row * n + i] : 0.0f;
  }
  transform(t, a, b);
  // H multiplies positive frequencies by -i, negative ones by i, the mean and the highest by 0. Real and imaginary
  // part are then written the other way round, which turns the next transform into the inverse one.
  for (std::int64_t k = 0; k < n; ++k) {
    const float sign = (2 * k == n || k == 0 ? 0.0f : 2 * k < n ? 1.0f : -1.0f) / static_cast<float>(n);
    const F real = a.real[k];
    a.real[k] = real * -sign;
    a.imaginary[k] = a.imaginary[k] * sign;
  }
  transform(t, a, b);
  for (int row = 0; row < rows; ++row) {
    const F* const from = row % 2 ? a.real : a.imaginary;
    for (std::int64_t i = 0; i < n; ++i) {
      const float value = rf[row * n + i], quadrature = from[i][row / 2];
      envelope[row * n + i] = __builtin_sqrtf(value * value + quadrature * quadrature);
    }
  }
}

}  // namespace SONORAY_LEVEL
}  // namespace sonoray
