// The adjoint: every point of the image leaves an echo in every trace. One element at a time, so that no two threads
// write to one trace and the sums do not depend on their number.
#include <cstring>

#include "beamforming/das_kernel.h"
#include "beamforming/das_levels.h"

namespace sonoray {
namespace SONORAY_LEVEL {
namespace {

constexpr int W = 8;
using F = simd::Float<W>;

/// Receive times and weights of a chunk of points, and what one transmit adds to them.
struct Chunk {
  alignas(64) float samples[das_chunk], real[das_chunk], imaginary[das_chunk];
  alignas(64) float index[das_chunk], tx_real[das_chunk], tx_imaginary[das_chunk];
};

SONORAY_INLINE void receive(const DasProblem& p, std::int64_t t, std::int64_t e, const std::int64_t* points, int n,
                            Chunk& c) {
  for (int i = 0; i < das_chunk && i < n; i += W) {
    F x = F(), y = F(), z = F();
    for (int l = 0; l < W; ++l) {
      const float* at = p.points.data + 3 * points[i + l < n ? i + l : n - 1];
      x[l] = at[0];
      y[l] = at[1];
      z[l] = at[2];
    }
    das_kernel::Cell<F> cell{};
    if (p.rx_slowness.data) cell = das_kernel::find_cell(p, x, y, z);
    const auto path = das_kernel::receive_path(p, t, e, x, y, z);
    const F time = das_kernel::receive_time(p, e, path, cell);
    F real = F() + 1.0f, imaginary = F() + 0.0f;
    if (p.demodulation_frequency > 0.0f) das_kernel::phasor(time, p.demodulation_frequency, real, imaginary);
    simd::store(c.samples + i, das_kernel::receive_samples(p, time));
    simd::store(c.real + i, real * path.weight);
    simd::store(c.imaginary + i, imaginary * path.weight);
  }
}

SONORAY_INLINE void transmit(const DasProblem& p, std::int64_t t, const std::int64_t* points, int n, Chunk& c) {
  const std::int64_t row = t * p.tx_time.shape[1];
  for (int i = 0; i < das_chunk && i < n; i += W) {
    F time = F(), weight = F() + 1.0f;
    for (int l = 0; l < W; ++l) {
      const std::int64_t at = row + points[i + l < n ? i + l : n - 1];
      time[l] = p.tx_time.data[at];
      if (p.tx_weight.data) weight[l] = p.tx_weight.data[at];
    }
    const F rx_real = simd::load<F>(c.real + i) * weight, rx_imaginary = simd::load<F>(c.imaginary + i) * weight;
    F real = F() + 1.0f, imaginary = F() + 0.0f;
    if (p.demodulation_frequency > 0.0f) das_kernel::phasor(time, p.demodulation_frequency, real, imaginary);
    simd::store(c.index + i, das_kernel::transmit_samples(p, t, time) + simd::load<F>(c.samples + i));
    simd::store(c.tx_real + i, real * rx_real - imaginary * rx_imaginary);
    simd::store(c.tx_imaginary + i, real * rx_imaginary + imaginary * rx_real);
  }
}

template <int TAPS, bool IQ>
SONORAY_INLINE void scatter(const float* image, const std::int64_t* points, int n, const Chunk& c,
                            std::int64_t n_samples, float* trace) {
  constexpr int parts = IQ ? 2 : 1;
  for (int i = 0; i < n; ++i) {
    const float* v = image + points[i] * parts;
    float real = v[0] * c.tx_real[i], imaginary = 0.0f;
    if (IQ) {  // times the conjugate of weight times phasor
      real += v[1] * c.tx_imaginary[i];
      imaginary = v[1] * c.tx_real[i] - v[0] * c.tx_imaginary[i];
    }
    const float whole = __builtin_floorf(c.index[i]);
    float weight[TAPS];
    das_kernel::tap_weights<TAPS>(c.index[i] - whole, weight);
    const std::int64_t first = static_cast<std::int64_t>(whole) + das_kernel::first_tap<TAPS>;
    for (int tap = 0; tap < TAPS; ++tap) {
      if (first + tap < 0 || first + tap >= n_samples) continue;
      trace[(first + tap) * parts] += weight[tap] * real;
      if (IQ) trace[(first + tap) * parts + 1] += weight[tap] * imaginary;
    }
  }
}

}  // namespace

void das_adjoint_element(const DasProblem& p, std::int64_t e, const std::int64_t* points, std::int64_t n_points,
                         const float* image, std::int64_t n_frames, std::int64_t n_samples, float* samples) {
  const bool iq = p.demodulation_frequency > 0.0f;
  const std::int64_t parts = iq ? 2 : 1, n_tx = p.tx_time.shape[0], n_rx = p.elements.shape[0];
  const std::int64_t images = p.compounding == Compounding::none ? n_tx : 1, size = p.points.shape[0] * parts;
  const std::int64_t length = n_samples * parts, apertures = das_kernel::n_apertures(p);
  for (std::int64_t r = 0; r < n_frames * n_tx; ++r) std::memset(samples + (r * n_rx + e) * length, 0, length * 4);
  Chunk chunk;
  for (std::int64_t from = 0; from < n_points; from += das_chunk) {
    const int n = static_cast<int>(n_points - from < das_chunk ? n_points - from : das_chunk);
    for (std::int64_t t = 0; t < n_tx; ++t) {
      if (t == 0 || apertures > 1) receive(p, t, e, points + from, n, chunk);
      transmit(p, t, points + from, n, chunk);
      for (std::int64_t f = 0; f < n_frames; ++f) {
        const float* v = image + (f * images + (images > 1 ? t : 0)) * size;
        float* trace = samples + ((f * n_tx + t) * n_rx + e) * length;
        if (iq && p.cubic) scatter<4, true>(v, points + from, n, chunk, n_samples, trace);
        if (iq && !p.cubic) scatter<2, true>(v, points + from, n, chunk, n_samples, trace);
        if (!iq && p.cubic) scatter<4, false>(v, points + from, n, chunk, n_samples, trace);
        if (!iq && !p.cubic) scatter<2, false>(v, points + from, n, chunk, n_samples, trace);
      }
    }
  }
}

}  // namespace SONORAY_LEVEL
}  // namespace sonoray
