#pragma once
#include <cuda_runtime_api.h>

#include <cstdint>

#include "core/exec.h"
#include "core/guard.cuh"

namespace sonoray {

template <class F>
__global__ void for_each_item(std::int64_t n, F f) {
  const std::int64_t stride = std::int64_t(gridDim.x) * blockDim.x;
  for (std::int64_t i = blockIdx.x * std::int64_t(blockDim.x) + threadIdx.x; i < n; i += stride) f(i);
}

/// f(i) for every i in [0, n), one thread each, on the caller's stream; returns before the work is done.
template <class F>
void for_each(const Cuda& exec, std::int64_t n, const F& f) {
  if (n <= 0) return;
  const DeviceGuard guard(exec.device);
  constexpr int block = 128;
  const std::int64_t blocks = (n + block - 1) / block;
  constexpr std::int64_t most = 1 << 30;
  for_each_item<<<unsigned(blocks < most ? blocks : most), block, 0, stream_of(exec)>>>(n, f);
  check(cudaGetLastError(), "kernel launch");
}

}  // namespace sonoray
