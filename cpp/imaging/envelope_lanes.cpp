// Eight pairs of rows in the lanes of a vector.
#include "core/simd.h"
#include "imaging/envelope_kernel.h"
#include "imaging/envelope_levels.h"

namespace sonoray {
namespace SONORAY_LEVEL {
namespace {

using F = simd::Float<envelope_lanes>;

using Signal = envelope_kernel::Signal<F>;
using envelope_kernel::Turn;
using envelope_kernel::turn_of;

SONORAY_INLINE void step(const EnvelopeTables& t, int r, std::int64_t done, const Signal& x, const Signal& y) {
  const std::int64_t m = t.n / done / r;
  for (std::int64_t p = 0; p < m; ++p) {
    for (int j = 0; j < r; ++j) {
      const Turn turn = turn_of(t, p * j * done);
      for (std::int64_t q = 0; q < done; ++q) envelope_kernel::any_output(t, r, done, m, p, j, q, turn, x, y);
    }
  }
}

SONORAY_INLINE void step_four(const EnvelopeTables& t, std::int64_t done, const Signal& x, const Signal& y) {
  const std::int64_t m = t.n / done / 4;
  for (std::int64_t p = 0; p < m; ++p) {
    const Turn one = turn_of(t, p * done), two = turn_of(t, 2 * p * done), three = turn_of(t, 3 * p * done);
    for (std::int64_t q = 0; q < done; ++q) envelope_kernel::four_outputs(done, m, p, q, one, two, three, x, y);
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
  for (std::int64_t k = 0; k < n; ++k) envelope_kernel::quadrature(k, n, a.real[k], a.imaginary[k]);
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
