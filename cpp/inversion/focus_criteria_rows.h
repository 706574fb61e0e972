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
  std::int32_t n_samples;
  std::int64_t tx0 = 0;                   ///< the first transmit that matters; `s` counts those that do
  std::int64_t rx_begin = 0, rx_end = 0;  ///< receivers with a weight at any point lie between
  std::int64_t window = 0;                ///< samples copied of each trace, 0: none, they are read in the record

  SONORAY_INLINE Patch(const FocusProblem& problem, const FocusSizes& sizes, std::int64_t point, float* memory)
      : p(problem),
        s(sizes),
        at(sizes),
        room(memory),
        first(point),
        n_points(problem.tx_time.shape[1]),
        n_samples(static_cast<std::int32_t>(problem.samples.shape[2] - 2 * focus_margin)) {}

  /// One of the four numbers of an arrival, for all elements of a side at a point.
  SONORAY_INLINE float* rx(std::int64_t part, std::int64_t k) const {
    return room + at.rx + (part * s.n_kernel + k) * s.padded;
  }
  SONORAY_INLINE float* tx(std::int64_t part, std::int64_t k) const {
    return room + at.tx + (part * s.n_kernel + k) * s.n_tx;
  }
  /// Receivers from range(k)[0] to before range(k)[1] have a weight.
  SONORAY_INLINE std::int32_t* range(std::int64_t k) const { return ints(at.range) + 2 * k; }
  SONORAY_INLINE std::int32_t* ints(std::int64_t offset) const {
    return reinterpret_cast<std::int32_t*>(room + offset);
  }
  SONORAY_INLINE const float* trace(std::int64_t a, std::int64_t b) const {
    return reinterpret_cast<const float*>(p.samples.data + ((tx0 + a) * s.n_rx + b) * p.samples.shape[2]);
  }
  SONORAY_INLINE float* input(std::int64_t i) const { return room + at.input + 2 * i * s.wide + s.lead; }
  SONORAY_INLINE const float* zeros() const { return room + at.zeros + s.lead; }
  SONORAY_INLINE float* part() const { return room + at.part + s.lead; }
  SONORAY_INLINE float* sums(std::int64_t k) const { return room + at.sums + 2 * k * s.wide + s.lead; }
  SONORAY_INLINE float* u(std::int64_t i, std::int64_t k) const {
    return narrow(at.u, (s.slopes ? i : i % 2) * s.n_kernel + k);
  }
  SONORAY_INLINE float* pairs(std::int64_t i) const { return narrow(at.pairs, i); }
  SONORAY_INLINE float* squares(std::int64_t i) const { return room + at.squares + i * s.narrow + s.lead; }
  SONORAY_INLINE float* narrow(std::int64_t offset, std::int64_t index) const {
    return room + offset + 2 * index * s.narrow + s.lead;
  }
  /// Derivatives of the values with respect to time: real parts, then imaginary ones `padded` later.
  SONORAY_INLINE float* derivative(std::int64_t a, std::int64_t k) const {
    return room + at.derivative + (a * s.n_kernel + k) * 2 * s.padded;
  }
  /// Where the derivatives with respect to a transmit's times go.
  SONORAY_INLINE float* tx_out(float* all, std::int64_t a) const { return all + (tx0 + a) * n_points + first; }
  /// Derivatives of the result with respect to the receivers' times.
  SONORAY_INLINE float* slope(std::int64_t k) const { return room + at.slope + k * s.padded; }
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
    const auto a = focus_kernel::arrival<F>(time, weight, p.sampling_frequency, 0.0, p.demodulation_frequency);
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
  c.range(k)[0] = begin < end ? begin : 0;
  c.range(k)[1] = end;
}

SONORAY_INLINE void place_transmits(const Patch& c, std::int64_t a) {
  const FocusProblem& p = c.p;
  const std::int64_t row = (c.tx0 + a) * c.n_points + c.first;
  for (std::int64_t k = 0; k < c.s.n_kernel; k += W) {
    F time = F(), weight = F();
    for (int l = 0; l < W; ++l) {
      if (k + l >= c.s.n_kernel) break;
      time[l] = p.tx_time.data[row + k + l];
      weight[l] = p.tx_weight.data ? p.tx_weight.data[row + k + l] : 1.0f;
    }
    const auto t =
        focus_kernel::arrival<F>(time, weight, p.sampling_frequency, p.start.data[c.tx0 + a], p.demodulation_frequency);
    for (int l = 0; l < W && k + l < c.s.n_kernel; ++l) {
      reinterpret_cast<std::int32_t*>(c.tx(0, k + l))[a] = t.whole[l];
      c.tx(1, k + l)[a] = t.rest[l];
      c.tx(2, k + l)[a] = t.real[l];
      c.tx(3, k + l)[a] = t.imaginary[l];
    }
  }
}

/// Leaves out the transmits at either end that have no weight, unless a sub-aperture holds them with one that has.
SONORAY_INLINE void drop_silent(Patch& c) {
  const View<const float, 2>& w = c.p.tx_weight;
  if (!w.data) return;
  const auto active = [&](std::int64_t a) {
    for (std::int64_t k = 0; k < c.s.n_kernel; ++k)
      if (w.data[a * c.n_points + c.first + k] != 0.0f) return true;
    return false;
  };
  std::int64_t begin = 0, end = c.s.n_tx, more = c.s.length > 1 ? c.s.length - 1 : 0;
  while (begin + 1 < end && !active(begin)) ++begin;
  while (end - 1 > begin && !active(end - 1)) --end;
  c.tx0 = begin > more ? begin - more : 0;
  end = end + more < c.s.n_tx ? end + more : c.s.n_tx;
  c.s.n_tx = end - c.tx0;
  c.s.n_i = c.s.n_tx - c.s.length + 1;
}

/// The earliest sample of each element of a side over the patch; returns the longest distance to the latest one.
SONORAY_INLINE std::int64_t spans(const Patch& c, std::int64_t part, std::int64_t stride, std::int64_t n,
                                  std::int32_t* lowest) {
  std::int64_t longest = 0;
  for (std::int64_t e = 0; e < n; ++e) {
    const std::int32_t* whole = c.ints(part) + e;
    std::int32_t low = *whole, high = low;
    for (std::int64_t k = 1; k < c.s.n_kernel; ++k) {
      const std::int32_t at = whole[k * stride];
      low = at < low ? at : low;
      high = at > high ? at : high;
    }
    lowest[e] = low;
    longest = high - std::int64_t(low) > longest ? high - std::int64_t(low) : longest;
  }
  return longest;
}

/// Where every value of the patch lies in the record, and its phase.
SONORAY_INLINE void place(Patch& c) {
  drop_silent(c);
  c.rx_begin = c.s.n_rx;
  for (std::int64_t k = 0; k < c.s.n_kernel; ++k) {
    place_receivers(c, k);
    const std::int64_t begin = c.range(k)[0], end = c.range(k)[1] < c.s.n_rx ? c.range(k)[1] : c.s.n_rx;
    if (begin < end && begin < c.rx_begin) c.rx_begin = begin;
    if (end > c.rx_end) c.rx_end = end;
  }
  for (std::int64_t a = 0; a < c.s.n_tx; ++a) place_transmits(c, a);
  std::int32_t* lowest = c.ints(c.at.lowest);
  const std::int64_t tx = spans(c, c.at.tx, c.s.n_tx, c.s.n_tx, lowest);
  const std::int64_t rx = spans(c, c.at.rx, c.s.padded, c.s.n_rx, lowest + c.s.n_tx);
  const std::int64_t window = (tx + rx + 5 + 3) / 4 * 4;  // four taps, and one sample that two fractions may add up to
  c.window = window <= FocusSizes::longest_window ? window : 0;
  for (std::int64_t b = 0; b < c.s.padded; ++b) {
    const std::int64_t e = b < c.s.n_rx ? b : c.s.n_rx - 1;
    c.ints(c.at.base)[b] = static_cast<std::int32_t>(e * c.p.samples.shape[2] + focus_margin - 1);
    if (!c.window) continue;
    const std::int32_t offset = static_cast<std::int32_t>(e * c.window) - lowest[c.s.n_tx + e];
    for (std::int64_t k = 0; k < c.s.n_kernel; ++k) {
      std::int32_t* row = c.ints(c.at.rx) + k * c.s.padded;
      row[b] = b < c.s.n_rx ? row[b] + offset : row[e];
    }
  }
  if (!c.window) return;
  for (std::int64_t k = 0; k < c.s.n_kernel; ++k)
    for (std::int64_t a = 0; a < c.s.n_tx; ++a) c.ints(c.at.tx)[k * c.s.n_tx + a] -= lowest[a];
}

/// First sample of a trace that the patch needs.
SONORAY_INLINE std::int32_t window_start(const Patch& c, std::int64_t a, std::int64_t b) {
  const std::int32_t* lowest = c.ints(c.at.lowest);
  return lowest[a] + lowest[c.s.n_tx + b] - 1;
}

/// Copies what the patch needs of transmit a's traces: next to each other they stay in the nearest cache, and their
/// pages in its table, while all points read them.
SONORAY_INLINE void copy_windows(const Patch& c, std::int64_t a) {
  for (std::int64_t b = c.rx_begin; b < c.rx_end; ++b) {
    const std::int32_t start = window_start(c, a, b);
    const float* record = c.trace(a, b) + 2 * focus_margin;
    float* to = c.room + c.at.window + 2 * b * c.window;
    for (std::int64_t t = start; t < start + c.window; t += 4, to += 8) {
      const bool inside = t >= -focus_margin && t <= c.n_samples;  // with the margins four samples further on
      store(to, inside ? load<F>(record + 2 * t) : F());
    }
  }
}

/// Asks for windows of transmit a that will be copied later, a share of them at a time.
SONORAY_INLINE void expect_windows(const Patch& c, std::int64_t a, std::int64_t part, std::int64_t parts) {
  const std::int64_t n = c.rx_end - c.rx_begin;
  for (std::int64_t b = c.rx_begin + n * part / parts; b < c.rx_begin + n * (part + 1) / parts; ++b) {
    const std::int32_t start = window_start(c, a, b);
    if (start < 0 || start >= c.n_samples) continue;
    const float* from = c.trace(a, b) + 2 * (focus_margin + start);
    for (std::int64_t t = 0; t < c.window; t += 8) __builtin_prefetch(from + 2 * t);
  }
}

/// Where the gathers of transmit a's samples read.
SONORAY_INLINE const float* source(const Patch& c, std::int64_t a) {
  if (!c.window) return c.trace(a, 0);
  copy_windows(c, a);
  return c.room + c.at.window;
}

/// Four complex samples from number at[l] on of each lane: real parts and imaginary parts of each.
SONORAY_INLINE void fetch(const float* p, I at, F* re, F* im) {
#if defined(__AVX2__)
  alignas(32) std::int32_t lane[W];
  store_int(reinterpret_cast<float*>(lane), at);
  __asm__("" : "+m"(lane));  // addresses come through memory: taking a vector apart costs twice as much
  for (int half = 0; half < 2; ++half) {
    __m256 r[4];
    for (int l = 0; l < 4; ++l) {
      const float *low = p + 2 * std::int64_t(lane[l]) + 4 * half, *high = p + 2 * std::int64_t(lane[l + 4]) + 4 * half;
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
      re[t][l] = p[2 * (std::int64_t(at[l]) + t)];
      im[t][l] = p[2 * (std::int64_t(at[l]) + t) + 1];
    }
#endif
}

using Values = focus_kernel::Value<F>;

/// Transmit a and point k: what all receivers share.
struct Shot {
  const float *samples, *whole, *rest, *real, *imaginary, *base;
  std::int32_t tx_whole, n_samples;
  float tx_rest, tx_real, tx_imaginary, rate, omega;

  SONORAY_INLINE Shot(const Patch& c, const float* from, std::int64_t a, std::int64_t k)
      : samples(from),
        whole(c.rx(0, k)),
        rest(c.rx(1, k)),
        real(c.rx(2, k)),
        imaginary(c.rx(3, k)),
        base(c.room + c.at.base),
        tx_whole(one_int(c.tx(0, k) + a)),
        n_samples(c.n_samples),
        tx_rest(c.tx(1, k)[a]),
        tx_real(c.tx(2, k)[a]),
        tx_imaginary(c.tx(3, k)[a]),
        rate(static_cast<float>(c.p.sampling_frequency)),
        omega(static_cast<float>(6.283185307179586 * c.p.demodulation_frequency)) {}

  SONORAY_INLINE bool silent() const { return tx_real == 0.0f && tx_imaginary == 0.0f; }

  /// u for the receivers from b on.
  template <bool Cubic, bool Slopes, bool Windows>
  SONORAY_INLINE Values values(std::int64_t b) const {
    I at = load_int(whole + b) + tx_whole;
    F f = load<F>(rest + b) + tx_rest;
    const F more = focus_kernel::carry(f);
    at += focus_kernel::convert<I>(more);
    f -= more;
    if constexpr (!Windows) at = focus_kernel::inside(at, n_samples) + load_int(base + b);
    F re[4], im[4];
    fetch(samples, at, re, im);
    return focus_kernel::value<Cubic, Slopes>(re, im, f, tx_real, tx_imaginary, load<F>(real + b),
                                              load<F>(imaginary + b), rate, omega);
  }
};

/// The row of transmit a at point k; receivers without weight give zeros. The slopes go to their place in the patch.
template <bool Cubic, bool Slopes, bool Windows>
SONORAY_INLINE void focus_row(const Patch& c, const float* samples, std::int64_t a, std::int64_t k, float* row) {
  const Shot shot(c, samples, a, k);
  const std::int64_t begin = c.range(k)[0], end = shot.silent() ? begin : c.range(k)[1];
  const std::int64_t padded = c.s.padded, wide = c.s.wide;
  float* slope = Slopes ? c.derivative(a, k) : nullptr;
  const auto put = [&](std::int64_t b, const Values& v) __attribute__((always_inline)) {
    store(row + b, v.real);
    store(row + wide + b, v.imaginary);
    if constexpr (Slopes) {
      store(slope + b, v.real_slope);
      store(slope + padded + b, v.imaginary_slope);
    }
  };
  for (std::int64_t b = 0; b < begin; b += W) put(b, Values{});
  for (std::int64_t b = begin; b < end; b += W) put(b, shot.values<Cubic, Slopes, Windows>(b));
  for (std::int64_t b = end; b < padded; b += W) put(b, Values{});
}

template <bool Cubic, bool Slopes>
SONORAY_INLINE void focus_row(const Patch& c, const float* samples, std::int64_t a, std::int64_t k, float* row) {
  c.window ? focus_row<Cubic, Slopes, true>(c, samples, a, k, row)
           : focus_row<Cubic, Slopes, false>(c, samples, a, k, row);
}

/// Sums over neighbours in two steps: `part` holds sums of STEP numbers, `out` those of TIMES such sums and REST
/// numbers more, for n numbers. Rows are `wide` from real to imaginary parts, `out` is `narrow`.
template <int STEP, int TIMES, int REST>
void box_row(const float* row, std::int64_t wide, std::int64_t n, float* part, float* out, std::int64_t narrow) {
  for (std::int64_t side = 0; side < 2; ++side, row += wide, out += narrow) {
    for (std::int64_t j = 0; j < n + (TIMES - 1) * STEP; j += W) {
      F sum = load<F>(row + j);
      for (int t = 1; t < STEP; ++t) sum += load<F>(row + j + t);
      store(part + j, sum);
    }
    for (std::int64_t j = 0; j < n; j += W) {
      F sum = load<F>(part + j);
      for (int t = 1; t < TIMES; ++t) sum += load<F>(part + j + t * STEP);
      for (int t = 0; t < REST; ++t) sum += load<F>(row + j + TIMES * STEP + t);
      store(out + j, sum);
    }
  }
}

/// The same for any length.
SONORAY_INLINE void any_box_row(const float* row, std::int64_t length, std::int64_t wide, std::int64_t n, float* out,
                                std::int64_t narrow) {
  for (std::int64_t side = 0; side < 2; ++side, row += wide, out += narrow)
    for (std::int64_t j = 0; j < n; j += W) {
      F sum = load<F>(row + j);
      for (std::int64_t t = 1; t < length; ++t) sum += load<F>(row + j + t);
      store(out + j, sum);
    }
}

/// Sums over `length` neighbours of a row.
SONORAY_INLINE void box_sums(const Patch& c, const float* row, std::int64_t n, float* out, std::int64_t narrow) {
  const auto run = [&](auto* box) { box(row, c.s.wide, n, c.part(), out, narrow); };
  switch (c.s.length) {
    case 5:
      return run(box_row<2, 2, 1>);
    case 7:
      return run(box_row<2, 3, 1>);
    case 9:
      return run(box_row<3, 3, 0>);
    case 11:
      return run(box_row<3, 3, 2>);
    case 13:
      return run(box_row<3, 4, 1>);
    case 15:
      return run(box_row<3, 5, 0>);
    case 17:
      return run(box_row<4, 4, 1>);
    case 21:
      return run(box_row<4, 5, 1>);
    case 25:
      return run(box_row<5, 5, 0>);
    case 33:
      return run(box_row<4, 8, 1>);
    default:
      return any_box_row(row, c.s.length, c.s.wide, n, out, narrow);
  }
}

/// Sums over the last `length` rows: rows come in blocks of as many, and a window is the end of one block and the start
/// of the next. Unlike a running sum this keeps zeros zero.
struct Window {
  float* here;        ///< this row's place in the block; rows after it hold sums up to the end of the block before
  const float* next;  ///< the row after it, or zeros
  float* prefix;      ///< sum of this block's rows so far
  std::int64_t width;

  SONORAY_INLINE Window(const Patch& c, std::int64_t k, std::int64_t a) : width(c.s.narrow) {
    const std::int64_t position = a % c.s.length;
    here = c.narrow(c.at.block, position * c.s.n_kernel + k);
    next = a >= c.s.length && position + 1 < c.s.length ? here + 2 * c.s.n_kernel * c.s.narrow : c.zeros();
    prefix = c.narrow(c.at.prefix, k);
  }

  /// Adds numbers j to j + W of the row, which lies `here`, and returns the window's sums.
  SONORAY_INLINE void add(std::int64_t j, F& re, F& im) const {
    re = load<F>(here + j) + load<F>(prefix + j);
    im = load<F>(here + width + j) + load<F>(prefix + width + j);
    store(prefix + j, re);
    store(prefix + width + j, im);
    re += load<F>(next + j);
    im += load<F>(next + width + j);
  }
};

SONORAY_INLINE void clear(float* p, std::int64_t n) {
  for (std::int64_t i = 0; i < n; i += W) store(p + i, F());
}

/// Before row a of all points: a new block has no sum yet, and the rows of the one before become sums from themselves
/// to the last one.
SONORAY_INLINE void open_block(const Patch& c, std::int64_t a) {
  if (a % c.s.length) return;
  clear(c.narrow(c.at.prefix, 0), 2 * c.s.n_kernel * c.s.narrow - c.s.lead);
  if (!a) return;
  const std::int64_t n = 2 * c.s.n_kernel * c.s.narrow;
  for (std::int64_t r = c.s.length - 2; r >= 0; --r) {
    float *here = c.room + c.at.block + r * n, *next = here + n;
    for (std::int64_t i = 0; i < n; i += W) store(here + i, load<F>(here + i) + load<F>(next + i));
  }
}

/// Ones for the numbers below n, from j on.
SONORAY_INLINE F below(std::int64_t j, std::int64_t n) {
  F mask = F();
  for (int l = 0; l < W; ++l) mask[l] = j + l < n ? 1.0f : 0.0f;
  return mask;
}

}  // namespace sonoray::SONORAY_LEVEL::focus
