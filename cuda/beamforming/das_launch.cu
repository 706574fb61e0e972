// One thread per point and block of frames. Neighbouring threads are neighbouring points, so their samples share cache
// lines; receive times, windows and phasors are computed once per point and element and shared by transmits and
// frames.
#include "beamforming/das_launch.h"
#include "beamforming/das_points.cuh"
#include "core/guard.cuh"

namespace sonoray {
namespace {

constexpr int block = 128;

/// blockIdx.y counts blocks of FRAMES frames, blockIdx.z blocks of TRANSMITS transmits whose receive parts are shared.
template <class T, int PARTS, int TAPS, int FRAMES, int TRANSMITS>
__global__ void __launch_bounds__(block) das_points(DasProblem p, DasRecord r, float* image) {
  constexpr bool IQ = PARTS == 2;
  const std::int64_t n = p.points.shape[0], n_tx = p.tx_time.shape[0];
  const std::int64_t point = blockIdx.x * std::int64_t(block) + threadIdx.x;
  if (point >= n) return;
  const std::int64_t frame = blockIdx.y * std::int64_t(FRAMES);
  const float* at = p.points.data + 3 * point;
  const auto cell = cell_of(p, at);
  const bool separate = p.compounding != Compounding::coherent;
  float total[FRAMES][PARTS] = {};
  for (std::int64_t t0 = 0; t0 < n_tx; t0 += TRANSMITS) {
    float tx[TRANSMITS], tx_real[TRANSMITS], tx_imaginary[TRANSMITS], sum[TRANSMITS][FRAMES][PARTS] = {};
    for (int j = 0; j < TRANSMITS; ++j) {
      tx_real[j] = tx_imaginary[j] = tx[j] = 0.0f;
      if (t0 + j < n_tx) tx[j] = transmit_part<IQ>(p, t0 + j, point, tx_real[j], tx_imaginary[j]);
    }
    for (std::int64_t e = 0; e < p.elements.shape[0]; ++e) {
      float samples, real, imaginary;
      if (!receive_part<IQ>(p, t0, e, at, cell, samples, real, imaginary)) continue;
#pragma unroll
      for (int j = 0; j < TRANSMITS; ++j) {
        if (t0 + j >= n_tx || (tx_real[j] == 0.0f && tx_imaginary[j] == 0.0f)) continue;
        const Taps<TAPS> taps(tx[j] + samples);
        const char* trace = r.data + (t0 + j) * r.tx + e * r.rx;
#pragma unroll
        for (int f = 0; f < FRAMES; ++f) {
          if (frame + f >= r.n_frames) break;
          const Trace<T, PARTS> source{trace + (frame + f) * r.frame, r.sample, r.n_samples};
          float value[PARTS] = {};
#pragma unroll
          for (int tap = 0; tap < TAPS; ++tap) {
            float v[PARTS];
            source.read(taps.first + tap, v);
            for (int c = 0; c < PARTS; ++c) value[c] += taps.weight[tap] * v[c];
          }
          sum[j][f][0] += value[0] * real - (IQ ? value[PARTS - 1] * imaginary : 0.0f);
          if (IQ) sum[j][f][PARTS - 1] += value[0] * imaginary + value[PARTS - 1] * real;
        }
      }
    }
    for (int j = 0; j < TRANSMITS && t0 + j < n_tx; ++j) {
      for (int f = 0; f < FRAMES && frame + f < r.n_frames; ++f) {
        float value[PARTS];
        value[0] = sum[j][f][0] * tx_real[j] - (IQ ? sum[j][f][PARTS - 1] * tx_imaginary[j] : 0.0f);
        if (IQ) value[PARTS - 1] = sum[j][f][0] * tx_imaginary[j] + sum[j][f][PARTS - 1] * tx_real[j];
        if (p.compounding == Compounding::incoherent) {
          total[f][0] += IQ ? sqrtf(value[0] * value[0] + value[PARTS - 1] * value[PARTS - 1]) : fabsf(value[0]);
          continue;
        }
        for (int c = 0; c < PARTS; ++c) {
          if (separate) image[(((frame + f) * n_tx + t0 + j) * n + point) * PARTS + c] = value[c];
          total[f][c] += value[c];
        }
      }
    }
  }
  if (p.compounding == Compounding::none) return;
  const int parts = p.compounding == Compounding::incoherent ? 1 : PARTS;
  for (int f = 0; f < FRAMES && frame + f < r.n_frames; ++f)
    for (int c = 0; c < parts; ++c) image[((frame + f) * n + point) * parts + c] = total[f][c];
}

template <class T, int PARTS, int TAPS>
void launch(const Cuda& exec, const DasProblem& p, const DasRecord& r, float* image) {
  const DeviceGuard guard(exec.device);
  const auto blocks = static_cast<unsigned>((p.points.shape[0] + block - 1) / block);
  // Many frames share the taps; few frames share the receive part among transmits instead.
  constexpr int frames = 8, transmits = 4;
  if (r.n_frames >= frames) {
    const dim3 grid(blocks, static_cast<unsigned>((r.n_frames + frames - 1) / frames));
    das_points<T, PARTS, TAPS, frames, 1><<<grid, block, 0, stream_of(exec)>>>(p, r, image);
  } else if (das_kernel::n_apertures(p) > 1) {
    const dim3 grid(blocks, static_cast<unsigned>(r.n_frames));
    das_points<T, PARTS, TAPS, 1, 1><<<grid, block, 0, stream_of(exec)>>>(p, r, image);
  } else {
    const dim3 grid(blocks, static_cast<unsigned>(r.n_frames));
    das_points<T, PARTS, TAPS, 1, transmits><<<grid, block, 0, stream_of(exec)>>>(p, r, image);
  }
  check(cudaGetLastError(), "kernel launch");
}

template <int TAPS>
void launch_type(const Cuda& exec, const DasProblem& p, const DasRecord& r, float* image) {
  switch (r.type) {
    case DasSample::int16:
      return launch<std::int16_t, 1, TAPS>(exec, p, r, image);
    case DasSample::float32:
      return launch<float, 1, TAPS>(exec, p, r, image);
    case DasSample::int16_pair:
      return launch<std::int16_t, 2, TAPS>(exec, p, r, image);
    case DasSample::complex64:
      return launch<float, 2, TAPS>(exec, p, r, image);
  }
}

}  // namespace

void launch_das(const Cuda& exec, const DasProblem& p, const DasRecord& r, float* image) {
  if (p.cubic) {
    launch_type<4>(exec, p, r, image);
  } else {
    launch_type<2>(exec, p, r, image);
  }
}

}  // namespace sonoray
