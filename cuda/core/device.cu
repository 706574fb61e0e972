#include "core/device.h"
#include "core/guard.cuh"

namespace sonoray {

int device_count(const Cuda&) {
  int n = 0;
  if (cudaGetDeviceCount(&n) != cudaSuccess) {
    cudaGetLastError();
    return 0;
  }
  return n;
}

void synchronise(const Cuda& exec) {
  const DeviceGuard guard(exec.device);
  check(cudaStreamSynchronize(stream_of(exec)), "cudaStreamSynchronize");
}

}  // namespace sonoray
