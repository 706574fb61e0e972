// Checks, and the adjoint: one thread per point and element. das_launch.cu has the sum itself.
#include "beamforming/das_check.h"
#include "beamforming/das_launch.h"
#include "beamforming/das_points.cuh"
#include "core/for_each.cuh"
#include "core/guard.cuh"

namespace sonoray {
namespace {

/// One point and element: its echo in the traces of every transmit and frame.
template <int PARTS, int TAPS>
struct Scatter {
  DasProblem p;
  const float* image;
  std::int64_t n_frames, n_samples;
  float* samples;

  __device__ void operator()(std::int64_t item) const {
    constexpr bool IQ = PARTS == 2;
    const std::int64_t n = p.points.shape[0], n_tx = p.tx_time.shape[0], n_rx = p.elements.shape[0];
    const std::int64_t point = item % n, e = item / n;
    const std::int64_t images = p.compounding == Compounding::none ? n_tx : 1;
    const float* at = p.points.data + 3 * point;
    float rx, rx_real, rx_imaginary;
    const auto cell = cell_of(p, at);
    const std::int64_t apertures = das_kernel::n_apertures(p);
    bool sees = false;
    for (std::int64_t t = 0; t < n_tx; ++t) {
      if (t == 0 || apertures > 1) sees = receive_part<IQ>(p, t, e, at, cell, rx, rx_real, rx_imaginary);
      if (!sees) continue;
      float real, imaginary;
      const Taps<TAPS> taps(transmit_part<IQ>(p, t, point, real, imaginary) + rx);
      const float c = real * rx_real - imaginary * rx_imaginary, s = real * rx_imaginary + imaginary * rx_real;
      for (std::int64_t f = 0; f < n_frames; ++f) {
        const float* v = image + ((f * images + (images > 1 ? t : 0)) * n + point) * PARTS;
        const float echo[2] = {v[0] * c + (IQ ? v[PARTS - 1] * s : 0.0f), IQ ? v[PARTS - 1] * c - v[0] * s : 0.0f};
        if (echo[0] == 0.0f && echo[1] == 0.0f) continue;
        float* trace = samples + ((f * n_tx + t) * n_rx + e) * n_samples * PARTS;
        for (int tap = 0; tap < TAPS; ++tap) {
          const std::int64_t i = taps.first + tap;
          if (i < 0 || i >= n_samples) continue;
          for (int part = 0; part < PARTS; ++part) atomicAdd(trace + i * PARTS + part, taps.weight[tap] * echo[part]);
        }
      }
    }
  }
};

}  // namespace

template <>
void das(const Cuda& exec, const DasProblem& p, const Strided& samples, float* image) {
  check_das(p);
  const DasRecord r = das_record(p, samples);
  require(r.n_frames <= 65535, "samples: expected at most 65535 frames on CUDA, got " + std::to_string(r.n_frames));
  if (r.n_frames > 0) launch_das(exec, p, r, image);
}

template <>
void das_adjoint(const Cuda& exec, const DasProblem& p, const float* image, std::int64_t n_frames,
                 std::int64_t n_samples, float* samples) {
  check_das(p);
  check_das_samples(n_samples);
  require(p.compounding != Compounding::incoherent, "compounding: incoherent compounding has no adjoint");
  const std::int64_t n_rx = p.elements.shape[0], items = p.points.shape[0] * n_rx;
  const bool iq = p.demodulation_frequency > 0.0f;
  const DeviceGuard guard(exec.device);
  const std::int64_t numbers = n_frames * p.tx_time.shape[0] * n_rx * n_samples * (iq ? 2 : 1);
  check(cudaMemsetAsync(samples, 0, numbers * sizeof(float), stream_of(exec)), "cudaMemsetAsync");
  if (iq && p.cubic) for_each(exec, items, Scatter<2, 4>{p, image, n_frames, n_samples, samples});
  if (iq && !p.cubic) for_each(exec, items, Scatter<2, 2>{p, image, n_frames, n_samples, samples});
  if (!iq && p.cubic) for_each(exec, items, Scatter<1, 4>{p, image, n_frames, n_samples, samples});
  if (!iq && !p.cubic) for_each(exec, items, Scatter<1, 2>{p, image, n_frames, n_samples, samples});
}

}  // namespace sonoray
