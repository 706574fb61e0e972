// Patches, vectorised over the receive elements; compiled once per processor level.
#include "inversion/focus_criteria_rows.h"

namespace sonoray::SONORAY_LEVEL {

namespace {

using namespace focus;

/// Correlations of neighbouring sub-apertures (rows of `pairs`) and their energies (`squares`), summed over the patch.
/// Transmits outside, points inside: all points then share a transmit's part of the record.
template <bool Slopes>
void correlate(const Patch& c) {
  const FocusSizes& s = c.s;
  const std::int64_t n = FocusSizes::round(s.n_j), width = s.narrow;
  const F tail = below(n - W, s.n_j);
  for (std::int64_t a = 0; a < s.n_tx; ++a) {
    const float* samples = source(c, a);
    const std::int64_t i = a - s.length + 1;
    open_block(c, a);
    float* squares = c.squares(i < 0 ? 0 : i);
    float* pairs = i > 0 ? c.pairs(i - 1) : c.room + c.at.unused;
    clear(squares, n);
    clear(pairs, n);
    clear(pairs + width, n);
    for (std::int64_t k = 0; k < s.n_kernel; ++k) {
      if (c.window && a + 1 < s.n_tx) expect_windows(c, a + 1, k, s.n_kernel);
      focus_row<true, Slopes>(c, samples, a, k, c.input(0));
      const Window window(c, k, a);
      box_sums(c, c.input(0), n, window.here, width);
      for (float* last = window.here + n - W; last <= window.here + width + n - W; last += width)
        store(last, load<F>(last) * tail);
      float* now = c.u(i < 0 ? 0 : i, k);
      const float* before = i > 0 ? c.u(i - 1, k) : c.zeros();
      for (std::int64_t j = 0; j < n; j += W) {
        F re, im;
        window.add(j, re, im);
        store(now + j, re);
        store(now + width + j, im);
        store(squares + j, load<F>(squares + j) + re * re + im * im);
        const F x = load<F>(before + j + 1), y = load<F>(before + width + j + 1);
        store(pairs + j, load<F>(pairs + j) + x * re + y * im);
        store(pairs + width + j, load<F>(pairs + width + j) + y * re - x * im);
      }
    }
  }
}

SONORAY_INLINE focus_kernel::Pair<F> pair_at(const Patch& c, std::int64_t i, std::int64_t j) {
  const float* pairs = c.pairs(i);
  return focus_kernel::pair(load<F>(pairs + j), load<F>(pairs + c.s.narrow + j), load<F>(c.squares(i) + j + 1),
                            load<F>(c.squares(i + 1) + j));
}

/// Adds up logarithms of at least 1, of products as long as these are sure to fit: factors are below 1e14.
struct LogSum {
  focus_kernel::wide_of<F> product = {};
  double sum = 0.0;
  int n = 0;
  SONORAY_INLINE void add(F factor) {
    const auto wide = focus_kernel::convert<focus_kernel::wide_of<F>>(factor);
    product = n ? product * wide : wide;
    if (++n == 20) flush();
  }
  SONORAY_INLINE void flush() {
    for (int l = 0; l < W && n; ++l) sum += __builtin_log(product[l]);
    n = 0;
  }
};

/// Phase errors of the patch; correlations become the derivatives with respect to them.
void score_pairs(const Patch& c, const FocusCriterion& criterion, double* sums) {
  LogSum sum;
  for (std::int64_t i = 0; i + 1 < c.s.n_i; ++i) {
    float* pairs = c.pairs(i);
    F kept = F();
    for (std::int64_t j = 0; j < c.s.n_j - 1; j += W) {
      const auto term = focus_kernel::phase_term(pair_at(c, i, j), criterion.threshold, criterion.scale);
      sum.add(term.factor);
      kept += term.kept;
      store(pairs + j, term.real);
      store(pairs + c.s.narrow + j, term.imaginary);
    }
    for (int l = 0; l < W; ++l) sums[1] += kept[l];
  }
  sum.flush();
  sums[0] = sum.sum;
}

SONORAY_INLINE float sum_of_lanes(F x) {
  float r = 0.0f;
  for (int l = 0; l < W; ++l) r += x[l];
  return r;
}

/// What the slopes of one row of values mean for the times of receivers (added up) and of the transmit (returned).
SONORAY_INLINE float spread(const Patch& c, std::int64_t a, std::int64_t k, const float* row) {
  const float *re = c.derivative(a, k), *im = re + c.s.padded;
  float* slope = c.slope(k);
  F sum = F();
  for (std::int64_t b = 0; b < c.s.padded; b += W) {
    const F change = load<F>(row + b) * load<F>(re + b) + load<F>(row + c.s.wide + b) * load<F>(im + b);
    store(slope + b, load<F>(slope + b) + change);
    sum += change;
  }
  return sum_of_lanes(sum);
}

/// From derivatives with respect to the correlations back to the times.
void descend_pairs(const Patch& c, float* tx_slope) {
  const FocusSizes& s = c.s;
  const std::int64_t n = FocusSizes::round(s.n_j), width = s.narrow;
  float *input = c.input(1), *shifted = input + s.length - 1, *summed = c.input(0);
  for (std::int64_t a = 0; a < s.n_tx; ++a) {
    const bool is_a = a + 1 < s.n_i, is_b = a > 0 && a < s.n_i;  // as a sub-aperture of the pairs
    const float *with_b = is_a ? c.pairs(a) : c.zeros(), *with_a = is_b ? c.pairs(a - 1) : c.zeros();
    open_block(c, a);
    for (std::int64_t k = 0; k < s.n_kernel; ++k) {
      const float *after = c.u(is_a ? a + 1 : 0, k), *before = c.u(is_b ? a - 1 : 0, k);
      const Window window(c, k, a);
      for (std::int64_t j = 0; j < n; j += W) {
        const F g = load<F>(with_b + j - 1), h = load<F>(with_b + width + j - 1);
        const F x = load<F>(after + j - 1), y = load<F>(after + width + j - 1);
        const F p = load<F>(with_a + j), q = load<F>(with_a + width + j);
        const F v = load<F>(before + j + 1), w = load<F>(before + width + j + 1);
        store(window.here + j, g * x - h * y + p * v + q * w);
        store(window.here + width + j, g * y + h * x + p * w - q * v);
        F re, im;
        window.add(j, re, im);
        store(shifted + j, re);
        store(shifted + s.wide + j, im);
      }
      box_sums(c, input, s.padded, summed, s.wide);
      c.tx_out(tx_slope, a)[k] = spread(c, a, k, summed);
    }
  }
}

/// Sums over transmits, a row of receivers for each point.
template <bool Cubic, bool Slopes>
void sum_transmits(const Patch& c) {
  float* input = c.input(0);
  for (std::int64_t a = 0; a < c.s.n_tx; ++a) {
    const float* samples = source(c, a);
    for (std::int64_t k = 0; k < c.s.n_kernel; ++k) {
      if (c.window && a + 1 < c.s.n_tx) expect_windows(c, a + 1, k, c.s.n_kernel);
      focus_row<Cubic, Slopes>(c, samples, a, k, input);
      float* sum = c.sums(k);
      for (std::int64_t b = 0; b < c.s.padded; b += W)
        for (std::int64_t at = b; at <= b + c.s.wide; at += c.s.wide)
          store(sum + at, a ? load<F>(sum + at) + load<F>(input + at) : load<F>(input + at));
    }
  }
}

/// Sum of a point's row and of its magnitudes.
SONORAY_INLINE void row_total(const Patch& c, std::int64_t k, float& re, float& im, float& size) {
  F x = F(), y = F(), r = F();
  for (std::int64_t b = 0; b < c.s.padded; b += W) {
    const F u = load<F>(c.sums(k) + b), v = load<F>(c.sums(k) + c.s.wide + b);
    x += u;
    y += v;
    r += simd::root(u * u + v * v);
  }
  re = sum_of_lanes(x);
  im = sum_of_lanes(y);
  size = sum_of_lanes(r);
}

/// Number of active pairs of elements, or the product of the sums of their weights.
SONORAY_INLINE float active_pairs(const Patch& c, std::int64_t k) {
  const auto total = [&](const View<const float, 2>& w, std::int64_t n) {
    if (!w.data) return static_cast<float>(n);
    float sum = 0.0f;
    for (std::int64_t e = 0; e < n; ++e) sum += w.data[e * c.n_points + c.first + k];
    return sum;
  };
  return total(c.p.tx_weight, c.p.samples.shape[0]) * total(c.p.rx_weight, c.s.n_rx);
}

/// Coherence factor or brightness of every point; sums over transmits become the derivatives with respect to them.
void score_points(const Patch& c, bool coherence, double* sums) {
  for (std::int64_t k = 0; k < c.s.n_kernel; ++k) {
    float re, im, sizes;
    row_total(c, k, re, im, sizes);
    const auto term = focus_kernel::point_term(re, im, coherence ? sizes : active_pairs(c, k), coherence);
    sums[0] += term.value;
    sums[1] += term.counts;
    float* row = c.sums(k);
    for (std::int64_t b = 0; b < c.s.padded; b += W) {
      const F x = load<F>(row + b), y = load<F>(row + c.s.wide + b), r = simd::root(x * x + y * y);
      const F back = r > 0.0f ? term.back / (r > 0.0f ? r : F() + 1.0f) : F();
      store(row + b, re * term.along + back * x);
      store(row + c.s.wide + b, im * term.along + back * y);
    }
  }
}

/// Correlations of neighbouring receivers; sums over transmits become the derivatives with respect to them.
void score_neighbours(const Patch& c, double* sums) {
  const std::int64_t wide = c.s.wide, padded = c.s.padded;
  float *power = c.input(0), *product = power + wide, *inverse = c.part(), *back = inverse + wide, *copy = c.input(1);
  for (std::int64_t b = 0; b < padded; b += W) {
    F square = F(), real = F();
    for (std::int64_t k = 0; k < c.s.n_kernel; ++k) {
      const float *x = c.sums(k) + b, *y = x + wide;
      square += load<F>(x) * load<F>(x) + load<F>(y) * load<F>(y);
      real += load<F>(x) * load<F>(x + 1) + load<F>(y) * load<F>(y + 1);
    }
    store(power + b, square);
    store(product + b, real);
  }
  store(power + padded, F());
  double sum = 0.0, count = 0.0;
  float last = 0.0f;
  for (std::int64_t b = 0; b < padded; ++b) {
    const float energy = __builtin_sqrtf(power[b]) * __builtin_sqrtf(power[b + 1]);
    const float value = energy > 0.0f ? product[b] / energy : 0.0f;
    sum += value;
    count += energy > 0.0f;
    inverse[b] = energy > 0.0f ? 1.0f / energy : 0.0f;
    back[b] = power[b] > 0.0f ? (value + last) / power[b] : 0.0f;
    last = value;
  }
  sums[0] = sum;
  sums[1] = count;
  for (std::int64_t k = 0; k < c.s.n_kernel; ++k) {
    for (float* row = c.sums(k); row <= c.sums(k) + wide; row += wide) {
      for (std::int64_t b = 0; b < padded; b += W)
        store(copy + b, load<F>(back + b) * load<F>(row + b) - load<F>(inverse + b) * load<F>(row + b + 1) -
                            load<F>(inverse + b - 1) * load<F>(row + b - 1));
      for (std::int64_t b = 0; b < padded; b += W) store(row + b, load<F>(copy + b));
    }
  }
}

/// From derivatives with respect to sums over transmits back to the times.
void descend_rows(const Patch& c, float* tx_slope) {
  for (std::int64_t a = 0; a < c.s.n_tx; ++a)
    for (std::int64_t k = 0; k < c.s.n_kernel; ++k) c.tx_out(tx_slope, a)[k] = spread(c, a, k, c.sums(k));
}

/// Writes the receivers' derivatives, and zeros for transmits that were left out.
void give(const Patch& c, float* tx_slope, float* rx_slope) {
  for (std::int64_t b = 0; b < c.s.n_rx; ++b)
    for (std::int64_t k = 0; k < c.s.n_kernel; ++k) rx_slope[b * c.n_points + c.first + k] = c.slope(k)[b];
  for (std::int64_t a = 0; a < c.p.samples.shape[0]; ++a)
    for (std::int64_t k = 0; k < c.s.n_kernel && (a < c.tx0 || a >= c.tx0 + c.s.n_tx); ++k)
      tx_slope[a * c.n_points + c.first + k] = 0.0f;
}

template <bool Slopes>
void score(Patch& c, const FocusCriterion& criterion, double* sums, float* tx_slope) {
  sums[0] = sums[1] = 0.0;
  if (Slopes) clear(c.slope(0), c.s.n_kernel * c.s.padded);
  if (criterion.measure == FocusMeasure::phase_error) {
    correlate<Slopes>(c);
    score_pairs(c, criterion, sums);
    if (Slopes && sums[1] > 0.0) descend_pairs(c, tx_slope);
    if (Slopes && !(sums[1] > 0.0)) c.s.n_tx = 0;  // none has a say
    return;
  }
  sum_transmits<true, Slopes>(c);
  if (criterion.measure == FocusMeasure::lag_one_coherence) {
    score_neighbours(c, sums);
  } else {
    score_points(c, criterion.measure == FocusMeasure::coherence_factor, sums);
  }
  if (Slopes) descend_rows(c, tx_slope);
}

/// Changes of one point's value with the times of one transmit (returned) and of the receivers (added up).
template <bool Cubic, bool Windows>
SONORAY_INLINE float add_changes(const Patch& c, const float* samples, std::int64_t a, std::int64_t k, float re,
                                 float im) {
  const Shot shot(c, samples, a, k);
  if (shot.silent()) return 0.0f;
  float* slope = c.slope(k);
  F sum = F();
  for (std::int64_t b = c.range(k)[0]; b < c.range(k)[1]; b += W) {
    const Values v = shot.values<Cubic, true, Windows>(b);
    const F change = re * v.real_slope + im * v.imaginary_slope;
    store(slope + b, load<F>(slope + b) + change);
    sum += change;
  }
  return sum_of_lanes(sum);
}

/// Changes of an image's sums with the times: nothing is kept but the sums over either side.
template <bool Cubic>
void image_slopes(const Patch& c, const std::complex<float>* cotangent, float* tx_slope) {
  const float* g = reinterpret_cast<const float*>(cotangent + c.first);
  clear(c.slope(0), c.s.n_kernel * c.s.padded);
  for (std::int64_t a = 0; a < c.s.n_tx; ++a) {
    const float* samples = source(c, a);
    for (std::int64_t k = 0; k < c.s.n_kernel; ++k) {
      const bool none = g[2 * k] == 0.0f && g[2 * k + 1] == 0.0f;
      c.tx_out(tx_slope, a)[k] = none       ? 0.0f
                                 : c.window ? add_changes<Cubic, true>(c, samples, a, k, g[2 * k], g[2 * k + 1])
                                            : add_changes<Cubic, false>(c, samples, a, k, g[2 * k], g[2 * k + 1]);
    }
  }
}

}  // namespace

void focus_correlate(const FocusProblem& p, const FocusSizes& s, std::int64_t first, float* room,
                     std::complex<float>* correlation, float* energy) {
  Patch c(p, s, first, room);
  place(c);
  correlate<false>(c);
  const std::int64_t n = s.n_j - 1;
  for (std::int64_t row = 0; row + 1 < s.n_i; ++row, correlation += n, energy += n) {
    const std::int64_t i = row - c.tx0;
    const bool heard = i >= 0 && i + 1 < c.s.n_i;
    for (std::int64_t j = 0; j < n; j += W) {
      const auto found = heard ? pair_at(c, i, j) : focus_kernel::Pair<F>{};
      for (int l = 0; l < W && j + l < n; ++l) {
        float* to = reinterpret_cast<float*>(correlation + j + l);
        to[0] = found.real[l];
        to[1] = found.imaginary[l];
        energy[j + l] = found.energy[l];
      }
    }
  }
}

void focus_score(const FocusProblem& p, const FocusCriterion& criterion, const FocusSizes& s, std::int64_t first,
                 float* room, double* sums, float* tx_slope, float* rx_slope) {
  Patch c(p, s, first, room);
  place(c);
  if (!tx_slope) return score<false>(c, criterion, sums, nullptr);
  score<true>(c, criterion, sums, tx_slope);
  give(c, tx_slope, rx_slope);
}

void focus_slopes(const FocusProblem& p, const FocusSizes& s, std::int64_t first, float* room,
                  const std::complex<float>* cotangent, float* tx_slope, float* rx_slope) {
  Patch c(p, s, first, room);
  place(c);
  p.cubic ? image_slopes<true>(c, cotangent, tx_slope) : image_slopes<false>(c, cotangent, tx_slope);
  give(c, tx_slope, rx_slope);
}

}  // namespace sonoray::SONORAY_LEVEL
