// One thread per point; the signals and the working memory of the points in flight lie in device memory, the numbers of
// neighbouring threads next to each other. As many points are in flight as that memory allows.
#include "beamforming/adaptive_check.h"
#include "beamforming/adaptive_kernel.h"
#include "beamforming/das_points.cuh"
#include "core/guard.cuh"
#include "core/scratch.cuh"

namespace sonoray {
namespace {

using aperture::Aperture;
using aperture::Column;
using aperture::Complex;

constexpr int block = 128;
constexpr std::int64_t most_bytes = std::int64_t(1) << 29;

/// Columns of a point: signals (temporal, channels, parts), mask, weight (channels), the method's own.
struct Layout {
  std::int64_t channels, temporal, parts, threads;

  __host__ __device__ std::int64_t signals() const { return channels * temporal * parts; }
  __host__ __device__ std::int64_t columns(const AdaptiveMethod& m) const {
    return signals() + 2 * channels + adaptive_kernel::columns_of(m, static_cast<int>(channels));
  }
};

/// Interpolated sample at an index of one trace.
template <class T, int PARTS, int TAPS>
__device__ Complex<float> sample_at(const DasRecord& r, std::int64_t frame, std::int64_t t, std::int64_t e,
                                    float index) {
  const Taps<TAPS> taps(index);
  const Trace<T, PARTS> source{r.data + frame * r.frame + t * r.tx + e * r.rx, r.sample, r.n_samples};
  Complex<float> value{0.0f, 0.0f};
  for (int tap = 0; tap < TAPS; ++tap) {
    float v[PARTS];
    source.read(taps.first + tap, v);
    value.re += taps.weight[tap] * v[0];
    if (PARTS == 2) value.im += taps.weight[tap] * v[PARTS - 1];
  }
  return value;
}

/// All methods in one function, which the kernels share: their code is long.
__device__ __noinline__ Complex<float> adapt(const AdaptiveMethod& m, Aperture<float>& a, Column<float> columns) {
  return adaptive_kernel::adapt(m, a, columns);
}

template <class T, int PARTS, int TAPS>
struct Adapt {
  static constexpr bool IQ = PARTS == 2;
  DasProblem p, box;
  AdaptiveMethod m;
  DasRecord r;
  Layout layout;
  float *memory, *image;
  std::int64_t first, frame;

  __device__ Complex<float> times(Complex<float> a, float re, float im) const {
    return {a.re * re - a.im * im, a.re * im + a.im * re};
  }

  /// Signals of the elements that see the point, over transmits from t0 until t1; returns how many there are.
  __device__ int elements(const float* at, std::int64_t point, std::int64_t t0, std::int64_t t1, float* own) const {
    const auto cell = cell_of(p, at);
    const std::int64_t step = layout.threads;
    int n = 0;
    for (std::int64_t e = 0; e < p.elements.shape[0]; ++e) {
      float samples, real, imaginary;
      if (!receive_part<IQ>(box, t0, e, at, cell, samples, real, imaginary)) continue;
      for (int d = 0; d < layout.temporal; ++d) {
        Complex<float> sum{0.0f, 0.0f};
        for (std::int64_t t = t0; t < t1; ++t) {
          float c, s;
          const float tx = transmit_part<IQ>(p, t, point, c, s) + static_cast<float>(d - layout.temporal / 2);
          if (c == 0.0f && s == 0.0f) continue;
          const Complex<float> v = times(sample_at<T, PARTS, TAPS>(r, frame, t, e, tx + samples), c, s);
          sum.re += v.re;
          sum.im += v.im;
        }
        sum = times(sum, real, imaginary);
        float* to = own + ((d * layout.channels + n) * PARTS) * step;
        to[0] = sum.re;
        if (IQ) to[step] = sum.im;
      }
      own[(layout.signals() + n) * step] = 1.0f;
      own[(layout.signals() + layout.channels + n) * step] =
          das_kernel::receive_path(p, t0, e, at[0], at[1], at[2]).weight;
      ++n;
    }
    return n;
  }

  /// The sums over elements of every transmit that reaches the point.
  __device__ int transmits(const float* at, std::int64_t point, float* own) const {
    const auto cell = cell_of(p, at);
    const std::int64_t step = layout.threads;
    int n = 0;
    for (std::int64_t t = 0; t < p.tx_time.shape[0]; ++t) {
      float c, s;
      const float tx = transmit_part<IQ>(p, t, point, c, s);
      if (c == 0.0f && s == 0.0f) continue;
      for (int d = 0; d < layout.temporal; ++d) {
        Complex<float> sum{0.0f, 0.0f};
        for (std::int64_t e = 0; e < p.elements.shape[0]; ++e) {
          float samples, real, imaginary;
          if (!receive_part<IQ>(p, t, e, at, cell, samples, real, imaginary)) continue;
          const float index = tx + static_cast<float>(d - layout.temporal / 2) + samples;
          const Complex<float> v = times(sample_at<T, PARTS, TAPS>(r, frame, t, e, index), real, imaginary);
          sum.re += v.re;
          sum.im += v.im;
        }
        sum = times(sum, c, s);
        float* to = own + ((d * layout.channels + n) * PARTS) * step;
        to[0] = sum.re;
        if (IQ) to[step] = sum.im;
      }
      own[(layout.signals() + n) * step] = 1.0f;
      ++n;
    }
    return n;
  }

  __device__ Complex<float> value(int n, float* own) const {
    const std::int64_t step = layout.threads;
    float nothing = 0.0f;
    Aperture<float> a{};
    a.n = n;
    a.temporal = static_cast<int>(layout.temporal);
    a.slab = layout.channels;
    a.re = {own, PARTS * step};
    a.im = IQ ? Column<float>{own + step, PARTS * step} : Column<float>{&nothing, 0};
    a.mask = {own + layout.signals() * step, step};
    if (das_kernel::has_window(p) && m.over != AdaptiveOver::transmit)
      a.weight = {own + (layout.signals() + layout.channels) * step, step};
    return adapt(m, a, Column<float>{own + (layout.signals() + 2 * layout.channels) * step, step});
  }

  __device__ void store(std::int64_t of, std::int64_t point, Complex<float> value) const {
    const std::int64_t at = of * p.points.shape[0] + point;
    if (!IQ || p.compounding == Compounding::incoherent || m.kind == AdaptiveKind::short_lag_coherence) {
      image[at] = value.re;
    } else {
      image[2 * at] = value.re;
      image[2 * at + 1] = value.im;
    }
  }

  __device__ void operator()(std::int64_t thread) const {
    const std::int64_t point = first + thread, n_tx = p.tx_time.shape[0];
    if (point >= p.points.shape[0]) return;
    float* own = memory + thread;
    const float* at = p.points.data + 3 * point;
    if (m.over == AdaptiveOver::transmit) return store(frame, point, value(transmits(at, point, own), own));
    if (m.over == AdaptiveOver::receive) return store(frame, point, value(elements(at, point, 0, n_tx, own), own));
    Complex<float> total{0.0f, 0.0f};
    for (std::int64_t t = 0; t < n_tx; ++t) {
      const Complex<float> v = value(elements(at, point, t, t + 1, own), own);
      if (p.compounding == Compounding::none) {
        store(frame * n_tx + t, point, v);
      } else if (p.compounding == Compounding::incoherent) {
        total.re += sqrtf(v.re * v.re + v.im * v.im);
      } else {
        total.re += v.re;
        total.im += v.im;
      }
    }
    if (p.compounding != Compounding::none) store(frame, point, total);
  }
};

template <class T, int PARTS, int TAPS>
__global__ void __launch_bounds__(block) adapt_points(Adapt<T, PARTS, TAPS> adapt) {
  adapt(blockIdx.x * std::int64_t(block) + threadIdx.x);
}

template <class T, int PARTS, int TAPS>
void launch(const Cuda& exec, const DasProblem& p, const AdaptiveMethod& m, const DasRecord& r, float* image) {
  const DeviceGuard guard(exec.device);
  const bool transmit = m.over == AdaptiveOver::transmit;
  Layout layout{transmit ? p.tx_time.shape[0] : p.elements.shape[0], adaptive_kernel::temporal_samples(m), PARTS, 0};
  const std::int64_t n = p.points.shape[0], bytes = layout.columns(m) * static_cast<std::int64_t>(sizeof(float));
  std::int64_t threads = most_bytes / bytes / block * block;
  threads = threads < block ? block : threads;
  const std::int64_t whole = (n + block - 1) / block * block;
  layout.threads = threads < whole ? threads : whole;
  const Scratch<float> memory(exec, layout.columns(m) * layout.threads);
  const DasProblem box = transmit ? p : das_kernel::without_window(p);
  for (std::int64_t frame = 0; frame < r.n_frames; ++frame) {
    for (std::int64_t first = 0; first < n; first += layout.threads) {
      const Adapt<T, PARTS, TAPS> adapt{p, box, m, r, layout, memory.data(), image, first, frame};
      adapt_points<<<static_cast<unsigned>(layout.threads / block), block, 0, stream_of(exec)>>>(adapt);
      check(cudaGetLastError(), "kernel launch");
    }
  }
}

template <int TAPS>
void launch_type(const Cuda& exec, const DasProblem& p, const AdaptiveMethod& m, const DasRecord& r, float* image) {
  switch (r.type) {
    case DasSample::int16:
      return launch<std::int16_t, 1, TAPS>(exec, p, m, r, image);
    case DasSample::float32:
      return launch<float, 1, TAPS>(exec, p, m, r, image);
    case DasSample::int16_pair:
      return launch<std::int16_t, 2, TAPS>(exec, p, m, r, image);
    case DasSample::complex64:
      return launch<float, 2, TAPS>(exec, p, m, r, image);
  }
}

}  // namespace

template <>
void adaptive(const Cuda& exec, const DasProblem& p, const AdaptiveMethod& m, const Strided& samples, float* image) {
  check_adaptive(p, m);
  const DasRecord r = das_record(p, samples);
  if (r.n_frames == 0) return;
  if (p.cubic) {
    launch_type<4>(exec, p, m, r, image);
  } else {
    launch_type<2>(exec, p, m, r, image);
  }
}

}  // namespace sonoray
