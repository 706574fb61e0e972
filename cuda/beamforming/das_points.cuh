#pragma once
// One point: what a transmit and an element do to it, and samples of a trace. For every schedule of beamformers.
#include "beamforming/das_kernel.h"
#include "beamforming/das_levels.h"

namespace sonoray {
namespace {

using das_kernel::first_tap;

/// Interpolated sample of one trace at an index, real and imaginary.
template <class T, int PARTS>
struct Trace {
  const char* data;
  std::int64_t stride, n;

  __device__ void read(std::int64_t i, float* value) const {
    if (i < 0 || i >= n) {
      value[0] = value[PARTS - 1] = 0.0f;
    } else if constexpr (PARTS == 1) {
      value[0] = static_cast<float>(*reinterpret_cast<const T*>(data + i * stride));
    } else if constexpr (sizeof(T) == 4) {
      const float2 pair = __ldg(reinterpret_cast<const float2*>(data + i * stride));
      value[0] = pair.x;
      value[1] = pair.y;
    } else {
      const short2 pair = __ldg(reinterpret_cast<const short2*>(data + i * stride));
      value[0] = pair.x;
      value[1] = pair.y;
    }
  }
};

/// Where in a trace a point's echo lies: first tap and the taps' weights.
template <int TAPS>
struct Taps {
  std::int64_t first;
  float weight[TAPS];

  __device__ explicit Taps(float index) {
    const float whole = floorf(index);
    das_kernel::tap_weights<TAPS>(index - whole, weight);
    first = static_cast<std::int64_t>(whole) + first_tap<TAPS>;
  }
};

/// What transmit t does to a point: index offset, and weight times phasor.
template <bool IQ>
__device__ float transmit_part(const DasProblem& p, std::int64_t t, std::int64_t point, float& real, float& imaginary) {
  const std::int64_t at = t * p.tx_time.shape[1] + point;
  const float time = __ldg(p.tx_time.data + at), weight = p.tx_weight.data ? __ldg(p.tx_weight.data + at) : 1.0f;
  real = weight;
  imaginary = 0.0f;
  if (IQ) {
    das_kernel::phasor(time, p.demodulation_frequency, real, imaginary);
    real *= weight;
    imaginary *= weight;
  }
  return das_kernel::transmit_samples(p, t, time);
}

/// What element e does to a point: receive time in samples, and weight times phasor; false where it sees nothing.
template <bool IQ>
__device__ bool receive_part(const DasProblem& p, std::int64_t t, std::int64_t e, const float* at,
                             const das_kernel::Cell<float>& cell, float& samples, float& real, float& imaginary) {
  const auto path = das_kernel::receive_path(p, t, e, at[0], at[1], at[2]);
  if (path.weight == 0.0f) return false;
  const float time = das_kernel::receive_time(p, e, path, cell);
  samples = das_kernel::receive_samples(p, time);
  real = path.weight;
  imaginary = 0.0f;
  if (IQ) {
    das_kernel::phasor(time, p.demodulation_frequency, real, imaginary);
    real *= path.weight;
    imaginary *= path.weight;
  }
  return true;
}

__device__ das_kernel::Cell<float> cell_of(const DasProblem& p, const float* at) {
  das_kernel::Cell<float> cell{};
  if (p.rx_slowness.data) cell = das_kernel::find_cell(p, at[0], at[1], at[2]);
  return cell;
}

}  // namespace
}  // namespace sonoray
