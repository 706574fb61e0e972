#pragma once
#include <cuda_runtime_api.h>

#include <cstdint>

#include "core/guard.cuh"

namespace sonoray {

/// Temporary device memory in the order of a stream: allocation and release queue behind its work.
template <class T>
class Scratch {
 public:
  Scratch(const Cuda& exec, std::int64_t n) : exec_(exec) {
    if (n <= 0) return;
    const DeviceGuard guard(exec.device);
    check(cudaMallocAsync(reinterpret_cast<void**>(&data_), n * sizeof(T), stream_of(exec)), "cudaMallocAsync");
  }
  ~Scratch() {
    if (data_) cudaFreeAsync(data_, stream_of(exec_));
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  T* data() const { return data_; }

 private:
  Cuda exec_;
  T* data_ = nullptr;
};

}  // namespace sonoray
