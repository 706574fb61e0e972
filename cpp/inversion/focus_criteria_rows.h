#pragma once
// What one patch is computed from, for the files compiled once per processor level: arrivals, focused rows of receive
// elements, sums over sub-apertures.
#include "inversion/focus_criteria_kernel.h"
#include "inversion/focus_criteria_levels.h"

namespace sonoray::SONORAY_LEVEL::focus {

constexpr int W = 8;
using F = simd::Float<W>;
using I = simd::Int<W>;
using simd::load;
using simd::store;

SONORAY_INLINE I load_int(const float* p) { return reinterpret_cast<I>(load<F>(p)); }
SONORAY_INLINE void store_int(float* p, I x) { store(p, reinterpret_cast<F>(x)); }
SONORAY_INLINE std::int32_t one_int(const float* p) { return *reinterpret_cast<const std::int32_t*>(p); }

/// A patch: its first point, its arrays.
struct Patch {
  const FocusProblem& p;
  FocusSizes s;
  FocusRoom at;
  float* room;
  std::int64_t first, n_points;

  SONORAY_INLINE Patch(const FocusProblem& problem, const FocusSizes& sizes, std::int64_t index, float* memory)
      : p(problem),
        s(sizes),
        at(sizes),
        room(memory),
        first(index * problem.n_kernel),
        n_points(problem.tx_time.shape[1]) {}

  /// One of the four numbers of an arrival, for all elements of a side at a point.
  SONORAY_INLINE float* rx(std::int64_t part, std::int64_t k) const {
    return room + at.rx + (part * s.n_kernel + k) * s.padded;
  }
  SONORAY_INLINE float* tx(std::int64_t part, std::int64_t k) const {
    return room + at.tx + (part * s.n_kernel + k) * s.n_tx;
  }
  /// Receivers from range(k)[0] to before range(k)[1] have a weight.
  SONORAY_INLINE float* range(std::int64_t k) const { return room + at.range + 2 * k; }
  SONORAY_INLINE float* sums(std::int64_t k) const { return row(at.sums, k); }
  SONORAY_INLINE float* u(std::int64_t i, std::int64_t k) const {
    return row(at.u, (s.slopes ? i : i % 2) * s.n_kernel + k);
  }
  SONORAY_INLINE float* pairs(std::int64_t i) const { return row(at.pairs, i); }
  SONORAY_INLINE float* squares(std::int64_t i) const { return room + at.squares + i * s.width + s.lead; }
  /// Derivatives of the values with respect to time: real parts, then imaginary ones `padded` later.
  SONORAY_INLINE float* derivative(std::int64_t a, std::int64_t k) const {
    return room + at.derivative + (a * s.n_kernel + k) * 2 * s.padded;
  }
  SONORAY_INLINE float* row(std::int64_t offset, std::int64_t index) const {
    return room + offset + index * s.row() + s.lead;
  }
};

SONORAY_INLINE void place_receivers(const Patch& c, std::int64_t k) {
  const FocusProblem& p = c.p;
  const std::int64_t column = c.first + k;
  std::int32_t begin = static_cast<std::int32_t>(c.s.padded), end = 0;
  for (std::int64_t b = 0; b < c.s.padded; b += W) {
    F time = F(), weight = F();
    for (int l = 0; l < W; ++l) {
      if (b + l >= c.s.n_rx) break;  // weightless beyond the last element
      const std::int64_t i = (b + l) * c.n_points + column;
      time[l] = p.rx_time.data[i];
      weight[l] = p.rx_weight.data ? p.rx_weight.data[i] : 1.0f;
    }
    const auto a =
        focus_kernel::arrival<F>(time, weight, p.sampling_frequency, 0.0, p.demodulation_frequency);
    store_int(c.rx(0, k) + b, a.whole);
    store(c.rx(1, k) + b, a.rest);
    store(c.rx(2, k) + b, a.real);
    store(c.rx(3, k) + b, a.imaginary);
    bool any = false;
    for (int l = 0; l < W; ++l) any |= weight[l] != 0.0f;
    if (!any) continue;
    begin = begin < b ? begin : static_cast<std::int32_t>(b);
    end = static_cast<std::int32_t>(b) + W;
  }
  reinterpret_cast<std::int32_t*>(c.range(k))[0] = begin < end ? begin : 0;
  reinterpret_cast<std::int32_t*>(c.range(k))[1] = end;
}

SONORAY_INLINE void place_transmits(const Patch& c, std::int64_t a) {
  const FocusProblem& p = c.p;
  const std::int64_t row = a * c.n_points + c.first;
  for (std::int64_t k = 0; k < c.s.n_kernel; k += W) {
    F time = F(), weight = F();
    for (int l = 0; l < W; ++l) {
      if (k + l >= c.s.n_kernel) break;
      time[l] = p.tx_time.data[row + k + l];
      weight[l] = p.tx_weight.data ? p.tx_weight.data[row + k + l] : 1.0f;
    }
    const auto t =
        focus_kernel::arrival<F>(time, weight, p.sampling_frequency, p.start.data[a], p.demodulation_frequency);
    for (int l = 0; l < W && k + l < c.s.n_kernel; ++l) {
      reinterpret_cast<std::int32_t*>(c.tx(0, k + l))[a] = t.whole[l];
      c.tx(1, k + l)[a] = t.rest[l];
      c.tx(2, k + l)[a] = t.real[l];
      c.tx(3, k + l)[a] = t.imaginary[l];
    }
  }
}

/// Where every value of the patch lies in the record, and its phase.
SONORAY_INLINE void place(const Patch& c) {
  const std::int64_t length = c.p.samples.shape[2];
  for (std::int64_t b = 0; b < c.s.padded; ++b) {
    const std::int64_t trace = b < c.s.n_rx ? b : c.s.n_rx - 1;
    reinterpret_cast<std::int32_t*>(c.room + c.at.base)[b] = static_cast<std::int32_t>(trace * length) + focus_margin;
  }
  for (std::int64_t k = 0; k < c.s.n_kernel; ++k) place_receivers(c, k);
  for (std::int64_t a = 0; a < c.s.n_tx; ++a) place_transmits(c, a);
}

/// Four complex samples from p[2 (at - 1)] on of each lane: real parts and imaginary parts of each.
SONORAY_INLINE void fetch(const float* p, I at, F* re, F* im) {
#if defined(__AVX2__)
  for (int half = 0; half < 2; ++half) {
    __m256 r[4];
    for (int l = 0; l < 4; ++l) {
      const float *low = p + 2 * std::int64_t(at[l]) - 2 + 4 * half, *high = p + 2 * std::int64_t(at[l + 4]) - 2 + 4 * half;
      r[l] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(low)), _mm_loadu_ps(high), 1);
    }
    const __m256 a = _mm256_unpacklo_ps(r[0], r[1]), b = _mm256_unpacklo_ps(r[2], r[3]);
    const __m256 c = _mm256_unpackhi_ps(r[0], r[1]), d = _mm256_unpackhi_ps(r[2], r[3]);
    re[2 * half] = reinterpret_cast<F>(_mm256_shuffle_ps(a, b, 0x44));
    im[2 * half] = reinterpret_cast<F>(_mm256_shuffle_ps(a, b, 0xee));
    re[2 * half + 1] = reinterpret_cast<F>(_mm256_shuffle_ps(c, d, 0x44));
    im[2 * half + 1] = reinterpret_cast<F>(_mm256_shuffle_ps(c, d, 0xee));
  }
#else
  for (int t = 0; t < 4; ++t)
    for (int l = 0; l < W; ++l) {
      re[t][l] = p[2 * (std::int64_t(at[l]) + t - 1)];
      im[t][l] = p[2 * (std::int64_t(at[l]) + t - 1) + 1];
    }
#endif
}

struct Values {
  F real, imaginary;
  F real_slope, imaginary_slope;  ///< [1/s], if asked for
};

/// u of transmit a at point k, for the receivers from b on.
template <bool Cubic, bool Slopes>
SONORAY_INLINE Values values(const Patch& c, std::int64_t a, std::int64_t k, std::int64_t b) {
  const FocusProblem& p = c.p;
  const float* samples = reinterpret_cast<const float*>(p.samples.data + a * p.samples.shape[1] * p.samples.shape[2]);
  const auto n_samples = static_cast<std::int32_t>(p.samples.shape[2] - 2 * focus_margin);
  I at;
  const F f = focus_kernel::sum_of(load_int(c.rx(0, k) + b), load<F>(c.rx(1, k) + b), one_int(c.tx(0, k) + a),
                                   c.tx(1, k)[a], n_samples, at);
  F re[4], im[4], w[4];
  fetch(samples, at + load_int(c.room + c.at.base + b), re, im);
  focus_kernel::weights_of<Cubic>(f, w);
  const F x = w[0] * re[0] + w[1] * re[1] + w[2] * re[2] + w[3] * re[3];
  const F y = w[0] * im[0] + w[1] * im[1] + w[2] * im[2] + w[3] * im[3];
  const float tx_real = c.tx(2, k)[a], tx_imaginary = c.tx(3, k)[a];
  const F rx_real = load<F>(c.rx(2, k) + b), rx_imaginary = load<F>(c.rx(3, k) + b);
  const F phase_real = tx_real * rx_real - tx_imaginary * rx_imaginary;
  const F phase_imaginary = tx_real * rx_imaginary + tx_imaginary * rx_real;
  Values v{};
  v.real = phase_real * x - phase_imaginary * y;
  v.imaginary = phase_real * y + phase_imaginary * x;
  if constexpr (Slopes) {
    const auto rate = static_cast<float>(p.sampling_frequency);
    const auto omega = static_cast<float>(6.283185307179586 * p.demodulation_frequency);
    focus_kernel::slopes_of<Cubic>(f, w);
    const F dx = rate * (w[0] * re[0] + w[1] * re[1] + w[2] * re[2] + w[3] * re[3]);
    const F dy = rate * (w[0] * im[0] + w[1] * im[1] + w[2] * im[2] + w[3] * im[3]);
    v.real_slope = phase_real * dx - phase_imaginary * dy - omega * v.imaginary;
    v.imaginary_slope = phase_real * dy + phase_imaginary * dx + omega * v.real;
  }
  return v;
}

/// The row of transmit a at point k; receivers without weight give zeros. The slopes go to their place in the patch.
template <bool Cubic, bool Slopes>
SONORAY_INLINE void focus_row(const Patch& c, std::int64_t a, std::int64_t k, float* row) {
  const std::int32_t begin = one_int(c.range(k)), end = one_int(c.range(k) + 1);
  float* slope = Slopes ? c.derivative(a, k) : nullptr;
  const auto clear = [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t b = from; b < to; b += W) {
      store(row + b, F());
      store(row + c.s.width + b, F());
      if constexpr (Slopes) {
        store(slope + b, F());
        store(slope + c.s.padded + b, F());
      }
    }
  };
  if (c.tx(2, k)[a] == 0.0f && c.tx(3, k)[a] == 0.0f) return clear(0, c.s.padded);
  clear(0, begin);
  for (std::int64_t b = begin; b < end; b += W) {
    const Values v = values<Cubic, Slopes>(c, a, k, b);
    store(row + b, v.real);
    store(row + c.s.width + b, v.imaginary);
    if constexpr (Slopes) {
      store(slope + b, v.real_slope);
      store(slope + c.s.padded + b, v.imaginary_slope);
    }
  }
  clear(end, c.s.padded);
}

/// Sums over `length` neighbours along rows, in two steps: of `step` numbers, then of `times` such sums and the rest.
struct Box {
  std::int64_t length, step, times;
  SONORAY_INLINE explicit Box(std::int64_t n) : length(n), step(1) {
    while ((step + 1) * (step + 1) <= n) ++step;
    times = n / step;
  }
};

/// take(j, real, imaginary) for j = 0, W, 2 W, ... below n: sums of row[j] to row[j + length - 1].
template <class Take>
SONORAY_INLINE void box_sums(const Box& box, const float* row, std::int64_t width, std::int64_t n, float* part,
                             const Take& take) {
  const std::int64_t last = n + (box.times - 1) * box.step;
  for (std::int64_t j = 0; j < last; j += W) {
    F re = load<F>(row + j), im = load<F>(row + width + j);
    for (std::int64_t t = 1; t < box.step; ++t) {
      re += load<F>(row + j + t);
      im += load<F>(row + width + j + t);
    }
    store(part + j, re);
    store(part + width + j, im);
  }
  for (std::int64_t j = 0; j < n; j += W) {
    F re = load<F>(part + j), im = load<F>(part + width + j);
    for (std::int64_t t = 1; t < box.times; ++t) {
      re += load<F>(part + j + t * box.step);
      im += load<F>(part + width + j + t * box.step);
    }
    for (std::int64_t t = box.times * box.step; t < box.length; ++t) {
      re += load<F>(row + j + t);
      im += load<F>(row + width + j + t);
    }
    take(j, re, im);
  }
}

/// Sums over the last `length` rows: rows come in blocks of as many, and a window is the end of one block and the start
/// of the next. Unlike a running sum this keeps zeros zero.
struct Window {
  float* block;   ///< rows of this block so far; those after it still hold sums up to the end of the block before
  float* prefix;  ///< sum of this block's rows so far
  std::int64_t length, width, row, position;
  bool first;

  SONORAY_INLINE Window(const Patch& c, std::int64_t k, std::int64_t a)
      : block(c.row(c.at.block, k * c.s.length)),
        prefix(c.row(c.at.prefix, k)),
        length(c.s.length),
        width(c.s.width),
        row(c.s.row()),
        position(a % length),
        first(a < length) {}

  /// Adds numbers j to j + W of a row and turns them into the window's sums.
  SONORAY_INLINE void add(std::int64_t j, F& re, F& im) const {
    float *here = block + position * row + j, *sum = prefix + j;
    store(here, re);
    store(here + width, im);
    if (position) {
      re += load<F>(sum);
      im += load<F>(sum + width);
    }
    store(sum, re);
    store(sum + width, im);
    if (!first && position + 1 < length) {
      re += load<F>(here + row);
      im += load<F>(here + row + width);
    }
  }

  /// After the last numbers of a row.
  SONORAY_INLINE void close(std::int64_t n) const {
    if (position + 1 < length) return;
    for (std::int64_t r = length - 2; r >= 0; --r) {
      float *here = block + r * row, *next = here + row;
      for (std::int64_t j = 0; j < n; j += W) {
        store(here + j, load<F>(here + j) + load<F>(next + j));
        store(here + width + j, load<F>(here + width + j) + load<F>(next + width + j));
      }
    }
  }
};

/// Ones for the numbers below n, from j on.
SONORAY_INLINE F below(std::int64_t j, std::int64_t n) {
  F mask = F();
  for (int l = 0; l < W; ++l) mask[l] = j + l < n ? 1.0f : 0.0f;
  return mask;
}

}  // namespace sonoray::SONORAY_LEVEL::focus
