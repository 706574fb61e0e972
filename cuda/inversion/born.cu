// One thread per point and source for the waves; one warp per point for the sums over sources.
#include "core/for_each.cuh"
#include "core/guard.cuh"
#include "inversion/born_kernel.h"

namespace sonoray {
namespace {

constexpr int warp = 32, block = 128;

template <bool Coarse, bool Weighted, bool Directed>
struct WaveAt {
  BornWaves w;
  float* out;
  SONORAY_HD void operator()(std::int64_t i) const {
#if defined(__CUDA_ARCH__)
    const std::int64_t n = w.fields.sources.shape[1], n_points = w.points.shape[1], p = i / n, s = i - p * n;
    const float x = w.points.data[p], z = w.points.data[n_points + p];
    const born_kernel::Rows rows = born_kernel::rows_of(w.fields, p, x, z);
    const auto v = born_kernel::wave<float, Coarse, Weighted, Directed>(w, rows, x, z, s);
    const float* scale = reinterpret_cast<const float*>(w.scale.data + p);
    const float real = v.real * scale[0] - v.imaginary * scale[1];
    const float imaginary = v.real * scale[1] + v.imaginary * scale[0];
    float2* to = reinterpret_cast<float2*>(out) + i;
    to[0] = float2{real, imaginary};
    if constexpr (Directed) {
      to[n_points * n] = float2{real * v.x, imaginary * v.x};
      to[2 * n_points * n] = float2{real * v.z, imaginary * v.z};
    }
#endif
  }
};

template <bool Coarse>
void launch(const Cuda& exec, const BornWaves& w, const View<std::complex<float>, 3>& view) {
  float* out = reinterpret_cast<float*>(view.data);
  const std::int64_t n = view.shape[1] * view.shape[2];
  if (view.shape[0] == 3) {
    for_each(exec, n, WaveAt<Coarse, true, true>{w, out});
  } else if (w.facing) {
    for_each(exec, n, WaveAt<Coarse, true, false>{w, out});
  } else {
    for_each(exec, n, WaveAt<Coarse, false, false>{w, out});
  }
}

__global__ void dots(std::int64_t planes, std::int64_t n_points, std::int64_t n, const float2* a, const float2* b,
                     const float* factor, float2* out) {
  const int lane = threadIdx.x % warp;
  const std::int64_t stride = std::int64_t(gridDim.x) * (block / warp);
  for (std::int64_t p = std::int64_t(blockIdx.x) * (block / warp) + threadIdx.x / warp; p < n_points; p += stride) {
    float real = 0.0f, imaginary = 0.0f;
    for (std::int64_t q = 0; q < planes; ++q) {
      const float2 *x = a + (q * n_points + p) * n, *y = b + (q * n_points + p) * n;
      float re = 0.0f, im = 0.0f;
      for (std::int64_t s = lane; s < n; s += warp) {
        re += x[s].x * y[s].x - x[s].y * y[s].y;
        im += x[s].x * y[s].y + x[s].y * y[s].x;
      }
      real += factor[q] * re;
      imaginary += factor[q] * im;
    }
    for (int half = warp / 2; half > 0; half /= 2) {
      real += __shfl_down_sync(0xffffffffu, real, half);
      imaginary += __shfl_down_sync(0xffffffffu, imaginary, half);
    }
    if (lane == 0) out[p] = float2{real, imaginary};
  }
}

}  // namespace

template <>
void born_waves(const Cuda& exec, const BornWaves& w, View<std::complex<float>, 3> out) {
  born_kernel::check_waves(w, out);
  if (w.fields.shape[0]) {
    launch<true>(exec, w, out);
  } else {
    launch<false>(exec, w, out);
  }
}

template <>
void born_rowdot(const Cuda& exec, View<const std::complex<float>, 3> a, View<const std::complex<float>, 3> b,
                 View<const float, 1> factor, View<std::complex<float>, 1> out) {
  born_kernel::check_rowdot(a, b, factor, out);
  if (!out.shape[0]) return;
  const DeviceGuard guard(exec.device);
  const std::int64_t blocks = (out.shape[0] + block / warp - 1) / (block / warp);
  dots<<<unsigned(blocks < 1 << 20 ? blocks : 1 << 20), block, 0, stream_of(exec)>>>(
      a.shape[0], a.shape[1], a.shape[2], reinterpret_cast<const float2*>(a.data),
      reinterpret_cast<const float2*>(b.data), factor.data, reinterpret_cast<float2*>(out.data));
  check(cudaGetLastError(), "kernel launch");
}

}  // namespace sonoray
