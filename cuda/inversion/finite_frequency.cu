// Forward: one block of threads per pair. Transpose: one thread per node, which adds up the pairs in order, so that
// the result does not depend on the launch.
#include "core/for_each.cuh"
#include "core/guard.cuh"
#include "inversion/finite_frequency_kernel.h"

namespace sonoray {
namespace {

constexpr int block = 128;

__device__ float kernel_at(const FresnelSetup& s, std::int64_t p, std::int64_t i) {
  const std::int64_t n = s.tx_time.shape[1];
  const std::int64_t e = std::int64_t(s.pairs.data[2 * p]) * n + i, r = std::int64_t(s.pairs.data[2 * p + 1]) * n + i;
  const float end = float(s.table.shape[0] - 1);
  const float detour = s.tx_time.data[e] + s.rx_time.data[r] - s.pair_time.data[p];
  if (detour >= end * s.step) return 0.0f;
  return fresnel_kernel(s.table.data, 1.0f / s.step, end, detour) * (s.tx_amplitude.data[e] * s.rx_amplitude.data[r]);
}

__global__ void forward(FresnelSetup s, const float* change, float* delay) {
  const std::int64_t n = s.tx_time.shape[1];
  __shared__ double sums[block];
  for (std::int64_t p = blockIdx.x; p < s.pairs.shape[0]; p += gridDim.x) {
    double sum = 0.0;
    for (std::int64_t i = threadIdx.x; i < n; i += block) sum += kernel_at(s, p, i) * change[i];
    sums[threadIdx.x] = sum;
    __syncthreads();
    for (int half = block / 2; half > 0; half /= 2) {
      if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
      __syncthreads();
    }
    if (threadIdx.x == 0) delay[p] = float(sums[0] * s.pair_scale.data[p]);
    __syncthreads();
  }
}

struct Transpose {
  FresnelSetup s;
  const float* weight;
  float* image;
  SONORAY_HD void operator()(std::int64_t i) const {
#if defined(__CUDA_ARCH__)
    double sum = 0.0;
    for (std::int64_t p = 0; p < s.pairs.shape[0]; ++p) sum += kernel_at(s, p, i) * (weight[p] * s.pair_scale.data[p]);
    image[i] = float(sum);
#endif
  }
};

}  // namespace

template <>
void finite_frequency_forward(const Cuda& exec, const FresnelSetup& s, View<const float, 1> change,
                              View<float, 1> delay) {
  check_fresnel(s, delay.shape[0], change.shape[0]);
  if (!delay.shape[0]) return;
  const DeviceGuard guard(exec.device);
  const unsigned blocks = unsigned(delay.shape[0] < 65536 ? delay.shape[0] : 65536);
  forward<<<blocks, block, 0, stream_of(exec)>>>(s, change.data, delay.data);
  check(cudaGetLastError(), "kernel launch");
}

template <>
void finite_frequency_adjoint(const Cuda& exec, const FresnelSetup& s, View<const float, 1> weight,
                              View<float, 1> image) {
  check_fresnel(s, weight.shape[0], image.shape[0]);
  for_each(exec, image.shape[0], Transpose{s, weight.data, image.data});
}

}  // namespace sonoray
