// Tiles of pixels, vectorised over the pixels; compiled once per processor level. A row of a tile holds the real
// parts of its pixels in one frame, then the imaginary parts.
#include "core/simd.h"
#include "imaging/doppler_kernel.h"
#include "imaging/doppler_levels.h"

namespace sonoray::SONORAY_LEVEL {

namespace {

#if defined(SONORAY_LEVEL_v4)
constexpr int width = 16;
#else
constexpr int width = 8;
#endif
using Lanes = simd::Float<width>;
constexpr int tile = kDopplerTile, row = 2 * tile;

/// (re, im) pairs of W numbers, taken apart.
SONORAY_INLINE void take(const float* from, Lanes& re, Lanes& im) {
  const Lanes low = simd::load<Lanes>(from), high = simd::load<Lanes>(from + width);
#if defined(SONORAY_LEVEL_v4)
  re = __builtin_shufflevector(low, high, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  im = __builtin_shufflevector(low, high, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
#else
  re = __builtin_shufflevector(low, high, 0, 2, 4, 6, 8, 10, 12, 14);
  im = __builtin_shufflevector(low, high, 1, 3, 5, 7, 9, 11, 13, 15);
#endif
}

SONORAY_INLINE void read_pixels(const float* from, std::int64_t count, float* to) {
  if (count == tile) {
    for (int t = 0; t < tile; t += width) {
      Lanes re, im;
      take(from + 2 * t, re, im);
      __builtin_prefetch(from + 2 * (tile + t));  // the next tile: rows lie far apart
      simd::store(to + t, re);
      simd::store(to + tile + t, im);
    }
    return;
  }
  for (int t = 0; t < tile; ++t) {
    to[t] = t < count ? from[2 * t] : 0.0f;
    to[tile + t] = t < count ? from[2 * t + 1] : 0.0f;
  }
}

SONORAY_INLINE void write_pixels(const float* from, std::int64_t count, float* to) {
  for (int t = 0; t < count; ++t) {
    to[2 * t] = from[t];
    to[2 * t + 1] = from[tile + t];
  }
}

/// Rows n to 2 n - 1: i times rows 0 to n - 1.
void turn(float* rows, std::int64_t n) {
  for (std::int64_t k = 0; k < n; ++k) {
    const float* from = rows + k * row;
    float* to = rows + (n + k) * row;
    for (int t = 0; t < tile; ++t) {
      to[t] = -from[tile + t];
      to[tile + t] = from[t];
    }
  }
}

/// R rows of `out` = sum over k of matrix(i, k) rows[k]; taken from what is there if `subtract`.
template <int R>
SONORAY_INLINE void product_rows(const float* matrix, std::int64_t n, const float* rows, float* out, bool subtract) {
  for (int c = 0; c < row; c += 2 * width) {
    Lanes sum[R][2] = {};
    for (std::int64_t k = 0; k < n; ++k) {
      const Lanes a = simd::load<Lanes>(rows + k * row + c), b = simd::load<Lanes>(rows + k * row + c + width);
#pragma GCC unroll 4
      for (int i = 0; i < R; ++i) {
        const float w = matrix[i * n + k];
        sum[i][0] += w * a;
        sum[i][1] += w * b;
      }
    }
#pragma GCC unroll 4
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h) {
        float* to = out + i * row + c + h * width;
        simd::store(to, subtract ? simd::load<Lanes>(to) - sum[i][h] : sum[i][h]);
      }
  }
}

void product(const View<const float, 2>& matrix, const float* rows, float* out, bool subtract) {
  const std::int64_t n = matrix.shape[1];
  std::int64_t i = 0;
  for (; i + 4 <= matrix.shape[0]; i += 4) product_rows<4>(matrix.data + i * n, n, rows, out + i * row, subtract);
  for (; i < matrix.shape[0]; ++i) product_rows<1>(matrix.data + i * n, n, rows, out + i * row, subtract);
}

/// The filtered ensembles, in `x` itself or behind it.
SONORAY_INLINE const float* filter(const SlowTimeFilter& f, std::int64_t n, float* x) {
  if (!f.analysis) return x;
  const std::int64_t r = f.analysis.shape[0];
  float *coefficients = x + 2 * n * row, *y = coefficients + 2 * r * row;
  if (f.analysis.shape[1] == 2 * n) turn(x, n);
  product(f.analysis, x, coefficients, false);
  if (!f.synthesis) return coefficients;
  if (f.synthesis.shape[1] == 2 * r) turn(coefficients, r);
  product(f.synthesis, coefficients, f.residual ? x : y, f.residual);
  return f.residual ? x : y;
}

/// Ensembles that are filtered and taken apart: rows of the scratch.
struct Rows {
  const float* y;
  SONORAY_INLINE Rows at(int c) const { return {y + c}; }
  SONORAY_INLINE void load(std::int64_t k, Lanes& re, Lanes& im) const {
    re = simd::load<Lanes>(y + k * row);
    im = simd::load<Lanes>(y + k * row + tile);
  }
};

/// Ensembles as they lie in memory. What comes next is asked for as often as something is used: rows lie far apart, so
/// that the processor does not foresee it, and a tile that is read at once would leave memory idle while it is summed.
struct Frames {
  static constexpr int ahead = 16;  // vectors
  const float* x;
  std::int64_t stride;
  SONORAY_INLINE Frames at(int c) const { return {x + 2 * c, stride}; }
  SONORAY_INLINE void load(std::int64_t k, Lanes& re, Lanes& im) const {
    const float* from = x + k * stride;
    take(from, re, im);
    __builtin_prefetch(from + 2 * width * ahead);
  }
};

/// Moments of `width` pixels. With Squares also their powers.
template <bool Squares, class Source>
SONORAY_INLINE doppler_kernel::LagSum<Lanes> lag_sum(const Source& y, std::int64_t m, std::int64_t lag, Lanes& power) {
  doppler_kernel::LagSum<Lanes> sum;
  Lanes squares{};
  Lanes before_re{}, before_im{};  // of the frame before, for neighbours
  for (std::int64_t k = 0; k < m; ++k) {
    Lanes re, im;
    y.load(k, re, im);
    if constexpr (Squares) squares += doppler_kernel::square(re, im);
    if (lag == 1) {
      sum.add(re, im, before_re, before_im);
      before_re = re;
      before_im = im;
    } else if (k >= lag && lag > 0) {
      Lanes early_re, early_im;
      y.load(k - lag, early_re, early_im);
      sum.add(re, im, early_re, early_im);
    }
  }
  if constexpr (Squares) power = squares;
  return sum;
}

template <class Source>
SONORAY_INLINE Lanes square_at(const Source& y, std::int64_t k) {
  Lanes re, im;
  y.load(k, re, im);
  return doppler_kernel::square(re, im);
}

template <class Source>
SONORAY_INLINE void moments(const Source& y, std::int64_t m, std::int64_t first, std::int64_t count,
                            const DopplerMoments& to) {
  float sums[row], power[tile], pairs[tile];
  const std::int64_t n_lags = to.lags.shape[0], n_points = to.lagged.shape[1];
  for (std::int64_t i = 0; i < (n_lags ? n_lags : 1); ++i) {
    const std::int64_t lag = n_lags ? to.lags.data[i] : 0;
    const float scale = 1.0f / static_cast<float>(m - lag);
    for (int c = 0; c < tile; c += width) {
      Lanes squares{};
      const bool wanted = i == 0 && (to.power || to.pair_power);
      const auto sum = wanted ? lag_sum<true>(y.at(c), m, lag, squares) : lag_sum<false>(y.at(c), m, lag, squares);
      simd::store(sums + c, sum.re * scale);
      simd::store(sums + tile + c, sum.im * scale);
      if (!wanted) continue;
      simd::store(power + c, squares * (1.0f / static_cast<float>(m)));
      if (to.pair_power)
        simd::store(pairs + c, doppler_kernel::pair_power(squares, square_at(y.at(c), 0), square_at(y.at(c), m - 1),
                                                          1.0f / static_cast<float>(m - 1)));
    }
    if (n_lags) write_pixels(sums, count, reinterpret_cast<float*>(to.lagged.data + i * n_points + first));
  }
  for (int t = 0; to.power && t < count; ++t) to.power.data[first + t] = power[t];
  for (int t = 0; to.pair_power && t < count; ++t) to.pair_power.data[first + t] = pairs[t];
}

}  // namespace

void doppler_tiles(const View<const std::complex<float>, 2>& frames, const SlowTimeFilter& f, const DopplerMoments& to,
                   float* scratch, std::int64_t begin, std::int64_t end) {
  const std::int64_t n = frames.shape[0], n_points = frames.shape[1], m = doppler_kernel::filtered_frames(n, f);
  for (std::int64_t b = begin; b < end; ++b) {
    const std::int64_t first = b * tile, left = n_points - first, count = left < tile ? left : tile;
    if (!f.analysis && !to.filtered && count == tile) {
      moments(Frames{reinterpret_cast<const float*>(frames.data + first), 2 * n_points}, m, first, count, to);
      continue;
    }
    for (std::int64_t k = 0; k < n; ++k)
      read_pixels(reinterpret_cast<const float*>(frames.data + k * n_points + first), count, scratch + k * row);
    const float* y = filter(f, n, scratch);
    for (std::int64_t k = 0; to.filtered && k < m; ++k)
      write_pixels(y + k * row, count, reinterpret_cast<float*>(to.filtered.data + k * n_points + first));
    if (to.power || to.pair_power || to.lags.shape[0]) moments(Rows{y}, m, first, count, to);
  }
}

void doppler_angles(const std::complex<float>* values, float scale, float* out, std::int64_t begin, std::int64_t end) {
  float pixels[row];
  for (std::int64_t i = begin; i < end; i += tile) {
    const std::int64_t count = end - i < tile ? end - i : tile;
    read_pixels(reinterpret_cast<const float*>(values + i), count, pixels);
    for (int c = 0; c < tile; c += width)
      simd::store(pixels + c,
                  scale * doppler_kernel::angle(simd::load<Lanes>(pixels + c), simd::load<Lanes>(pixels + tile + c)));
    for (int t = 0; t < count; ++t) out[i + t] = pixels[t];
  }
}

}  // namespace sonoray::SONORAY_LEVEL
