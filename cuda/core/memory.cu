#include "core/guard.cuh"
#include "core/memory.h"

namespace sonoray {

void* device_allocate(const Cuda& exec, std::size_t bytes) {
  const DeviceGuard guard(exec.device);
  void* data = nullptr;
  check(cudaMalloc(&data, bytes ? bytes : 1), "cudaMalloc");
  return data;
}

void device_free(const Cuda& exec, void* data) noexcept {
  int previous = 0;
  if (cudaGetDevice(&previous) != cudaSuccess) return;
  cudaSetDevice(exec.device);
  cudaFree(data);
  cudaSetDevice(previous);
}

void copy_to_device(const Cuda& exec, void* device, const void* host, std::size_t bytes) {
  const DeviceGuard guard(exec.device);
  check(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream_of(exec)), "copy to device");
}

void copy_to_host(const Cuda& exec, void* host, const void* device, std::size_t bytes) {
  const DeviceGuard guard(exec.device);
  check(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream_of(exec)), "copy to host");
}

}  // namespace sonoray
