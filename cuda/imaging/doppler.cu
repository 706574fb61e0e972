// One thread per pixel. The ensemble is read again for every row of the filter: neighbouring threads read
// neighbouring pixels, and the second time they come from the cache.
#include "core/for_each.cuh"
#include "imaging/doppler_kernel.h"

namespace sonoray {
namespace {

struct Pixel {
  float re, im;
};

/// Product of row i of a matrix, real (n columns) or complex (2 n), with numbers that `at` gives.
template <class At>
__device__ Pixel row_product(const View<const float, 2>& matrix, std::int64_t i, std::int64_t n, const At& at) {
  const float* row = matrix.data + i * matrix.shape[1];
  const bool complex = matrix.shape[1] == 2 * n;
  Pixel sum{0.0f, 0.0f};
  for (std::int64_t k = 0; k < n; ++k) {
    const Pixel x = at(k);
    const float a = row[k], b = complex ? row[n + k] : 0.0f;
    sum.re += a * x.re - b * x.im;
    sum.im += a * x.im + b * x.re;
  }
  return sum;
}

constexpr int most_kept = 8;  // coefficients of the analysis that a thread keeps in registers

struct Moments {
  const float2* frames;
  std::int64_t n, n_points, m;
  SlowTimeFilter filter;
  DopplerMoments to;
  std::int32_t lags[kMostLags];

  __device__ Pixel frame(std::int64_t k, std::int64_t p) const {
    const float2 x = frames[k * n_points + p];
    return {x.x, x.y};
  }
  __device__ Pixel coefficient(std::int64_t i, std::int64_t p) const {
    return row_product(filter.analysis, i, n, [&](std::int64_t k) { return frame(k, p); });
  }
  /// Frame k behind the filter; `kept` holds the coefficients if there are few.
  __device__ Pixel at(std::int64_t k, std::int64_t p, const Pixel* kept) const {
    if (!filter.analysis) return frame(k, p);
    if (!filter.synthesis) return coefficient(k, p);
    const std::int64_t r = filter.analysis.shape[0];
    const Pixel y = row_product(filter.synthesis, k, r,
                                [&](std::int64_t i) { return r <= most_kept ? kept[i] : coefficient(i, p); });
    if (!filter.residual) return y;
    const Pixel x = frame(k, p);
    return {x.re - y.re, x.im - y.im};
  }

  __device__ void operator()(std::int64_t p) const {
    Pixel kept[most_kept];
    if (filter.synthesis && filter.analysis.shape[0] <= most_kept)
      for (std::int64_t i = 0; i < filter.analysis.shape[0]; ++i) kept[i] = coefficient(i, p);
    float squares = 0.0f, first = 0.0f, last = 0.0f;
    doppler_kernel::LagSum<float> neighbours;
    Pixel before{0.0f, 0.0f};
    for (std::int64_t k = 0; k < m; ++k) {
      const Pixel y = at(k, p, kept);
      last = doppler_kernel::square(y.re, y.im);
      squares += last;
      if (k == 0) first = last;
      if (k > 0) neighbours.add(y.re, y.im, before.re, before.im);
      if (to.filtered) reinterpret_cast<float2*>(to.filtered.data)[k * n_points + p] = float2{y.re, y.im};
      before = y;
    }
    if (to.power) to.power.data[p] = squares / float(m);
    if (to.pair_power) to.pair_power.data[p] = doppler_kernel::pair_power(squares, first, last, 1.0f / float(m - 1));
    for (std::int64_t i = 0; i < to.lags.shape[0]; ++i) {
      const std::int64_t lag = lags[i];
      doppler_kernel::LagSum<float> sum = neighbours;
      if (lag > 1) {
        sum = {};
        for (std::int64_t k = lag; k < m; ++k) {
          const Pixel late = at(k, p, kept), early = at(k - lag, p, kept);
          sum.add(late.re, late.im, early.re, early.im);
        }
      }
      const float scale = 1.0f / float(m - lag);
      reinterpret_cast<float2*>(to.lagged.data)[i * n_points + p] = float2{sum.re * scale, sum.im * scale};
    }
  }
};

struct Phase {
  const float2* values;
  float scale;
  float* out;
  __device__ void operator()(std::int64_t i) const { out[i] = scale * doppler_kernel::angle(values[i].x, values[i].y); }
};

}  // namespace

template <>
void doppler_moments(const Cuda& exec, View<const std::complex<float>, 2> frames, const SlowTimeFilter& filter,
                     const DopplerMoments& to) {
  doppler_kernel::check_moments(frames, filter, to);
  Moments job{reinterpret_cast<const float2*>(frames.data),
              frames.shape[0],
              frames.shape[1],
              doppler_kernel::filtered_frames(frames.shape[0], filter),
              filter,
              to,
              {}};
  for (std::int64_t i = 0; i < to.lags.shape[0]; ++i) job.lags[i] = to.lags.data[i];
  for_each(exec, frames.shape[1], job);
}

template <>
void doppler_phase(const Cuda& exec, View<const std::complex<float>, 1> values, float scale, View<float, 1> out) {
  doppler_kernel::check_phase(values, out);
  for_each(exec, out.shape[0], Phase{reinterpret_cast<const float2*>(values.data), scale, out.data});
}

}  // namespace sonoray
