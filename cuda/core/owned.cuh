#pragma once
// What a device holds until its owner goes. Destructors never throw. cudaFree waits for work that uses the memory; for
// that of the host the owner waits.
#include <cuda_runtime_api.h>

#include <cstdint>
#include <cstring>
#include <exception>
#include <new>
#include <vector>

#include "core/guard.cuh"

namespace sonoray {

inline void check_allocation(cudaError_t status, const char* what) {
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    throw std::bad_alloc();
  }
  check(status, what);
}

/// Where an exception leaves its scope it first waits for a stream: the host's memory, which copies may still read or
/// write, is about to go.
class Settle {
 public:
  explicit Settle(cudaStream_t stream) : stream_(stream) {}
  ~Settle() {
    if (std::uncaught_exceptions() > before_) quietly(cudaStreamSynchronize(stream_));
  }
  Settle(const Settle&) = delete;
  Settle& operator=(const Settle&) = delete;

 private:
  cudaStream_t stream_;
  const int before_ = std::uncaught_exceptions();
};

/// n numbers in the memory of the current device.
template <class T>
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  explicit DeviceBuffer(std::int64_t n) { reserve(n); }
  ~DeviceBuffer() { quietly(cudaFree(data_)); }
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;

  /// Room for n numbers at least; what was there is lost if it grows.
  void reserve(std::int64_t n) {
    if (n <= capacity_) return;
    quietly(cudaFree(data_));
    data_ = nullptr;
    capacity_ = 0;
    check_allocation(cudaMalloc(reinterpret_cast<void**>(&data_), n * sizeof(T)), "cudaMalloc");
    capacity_ = n;
  }

  /// Queues a copy of the host's numbers, which must stay until the stream has been waited for.
  void fill(const T* from, std::int64_t n, cudaStream_t stream) {
    reserve(n);
    check(cudaMemcpyAsync(data_, from, n * sizeof(T), cudaMemcpyHostToDevice, stream), "copy to device");
  }

  T* data() const { return data_; }

 private:
  T* data_ = nullptr;
  std::int64_t capacity_ = 0;
};

/// n numbers in memory of the host that the device copies from and to without help. Its owner waits for such copies
/// before it goes.
template <class T>
class PinnedBuffer {
 public:
  PinnedBuffer() = default;
  ~PinnedBuffer() { quietly(cudaFreeHost(data_)); }
  PinnedBuffer(const PinnedBuffer&) = delete;
  PinnedBuffer& operator=(const PinnedBuffer&) = delete;

  void allocate(std::int64_t n) {
    check_allocation(cudaMallocHost(reinterpret_cast<void**>(&data_), n * sizeof(T)), "cudaMallocHost");
    std::memset(static_cast<void*>(data_), 0, n * sizeof(T));
  }
  T* data() const { return data_; }

 private:
  T* data_ = nullptr;
};

/// A point in a stream's work. Waiting for one that was never recorded returns at once.
class Event {
 public:
  Event() { check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "cudaEventCreate"); }
  ~Event() { quietly(cudaEventDestroy(event_)); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void record(cudaStream_t stream) { check(cudaEventRecord(event_, stream), "cudaEventRecord"); }
  void wait() { check(cudaEventSynchronize(event_), "a frame's work"); }
  void settle() noexcept { quietly(cudaEventSynchronize(event_)); }

 private:
  cudaEvent_t event_ = nullptr;
};

/// A stream that waits for no other one.
class OwnStream {
 public:
  OwnStream() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate"); }
  ~OwnStream() { quietly(cudaStreamDestroy(stream_)); }
  OwnStream(const OwnStream&) = delete;
  OwnStream& operator=(const OwnStream&) = delete;

  cudaStream_t get() const { return stream_; }
  void wait() { check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize"); }

 private:
  cudaStream_t stream_ = nullptr;
};

}  // namespace sonoray
