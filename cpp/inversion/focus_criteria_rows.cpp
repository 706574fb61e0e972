// Patches, vectorised over the receive elements; compiled once per processor level.
#include "inversion/focus_criteria_rows.h"

namespace sonoray::SONORAY_LEVEL {

namespace {

using namespace focus;

/// Correlations of neighbouring sub-apertures (rows of `pairs`) and their energies (`squares`), summed over the patch.
/// Transmits outside, points inside: a transmit's part of the record then serves all points while it is near.
template <bool Cubic, bool Slopes>
void correlate(const Patch& c) {
  const FocusSizes& s = c.s;
  const Box box(s.length);
  const std::int64_t n = FocusSizes::round(s.n_j), width = s.width;
  const F tail = below(n - W, s.n_j);
  float *input = c.row(c.at.input, 0), *part = c.row(c.at.part, 0);
  for (std::int64_t a = 0; a < s.n_tx; ++a) {
    const std::int64_t i = a - s.length + 1;
    for (std::int64_t k = 0; k < s.n_kernel; ++k) {
      focus_row<Cubic, Slopes>(c, a, k, input);
      const Window window(c, k, a);
      const auto add = [&](std::int64_t j, F& re, F& im) __attribute__((always_inline)) {
        if (j + W == n) {
          re *= tail;
          im *= tail;
        }
        window.add(j, re, im);
      };
      if (i < 0) {
        box_sums(box, input, width, n, part, add);
      } else {
        const bool fresh = k == 0;
        float *now = c.u(i, k), *squares = c.squares(i);
        const float* before = i ? c.u(i - 1, k) : nullptr;
        float* pairs = i ? c.pairs(i - 1) : nullptr;
        box_sums(box, input, width, n, part, [&](std::int64_t j, F re, F im) __attribute__((always_inline)) {
          add(j, re, im);
          store(now + j, re);
          store(now + width + j, im);
          const F square = re * re + im * im;
          store(squares + j, fresh ? square : square + load<F>(squares + j));
          if (!before) return;
          const F x = load<F>(before + j + 1), y = load<F>(before + width + j + 1);
          const F real = x * re + y * im, imaginary = y * re - x * im;
          store(pairs + j, fresh ? real : real + load<F>(pairs + j));
          store(pairs + width + j, fresh ? imaginary : imaginary + load<F>(pairs + width + j));
        });
      }
      window.close(n);
    }
  }
}

template <bool Slopes>
SONORAY_INLINE void correlate(const Patch& c) {
  c.p.cubic ? correlate<true, Slopes>(c) : correlate<false, Slopes>(c);
}

}  // namespace

void focus_correlate(const FocusProblem& p, const FocusSizes& s, std::int64_t patch, float* room,
                     std::complex<float>* correlation, float* energy) {
  const Patch c(p, s, patch, room);
  place(c);
  correlate<false>(c);
  const std::int64_t n = s.n_j - 1;
  for (std::int64_t i = 0; i + 1 < s.n_i; ++i) {
    const float *pairs = c.pairs(i), *a = c.squares(i) + 1, *b = c.squares(i + 1);
    for (std::int64_t j = 0; j < n; j += W) {
      const auto found =
          focus_kernel::pair(load<F>(pairs + j), load<F>(pairs + s.width + j), load<F>(a + j), load<F>(b + j));
      for (int l = 0; l < W && j + l < n; ++l) {
        float* to = reinterpret_cast<float*>(correlation + i * n + j + l);
        to[0] = found.real[l];
        to[1] = found.imaginary[l];
        energy[i * n + j + l] = found.energy[l];
      }
    }
  }
}

}  // namespace sonoray::SONORAY_LEVEL
