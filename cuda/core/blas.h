#pragma once
// Products of complex matrices on a device: cuBLAS where a process has it, else a kernel of our own. No CUDA header, so
// that the bindings need only a C++ compiler.
#include <complex>
#include <cstdint>

#include "core/exec.h"
#include "core/view.h"

namespace sonoray {

/// Owns what the library needs on one device; one thread at a time may use it.
class DeviceBlas {
 public:
  explicit DeviceBlas(int device);
  ~DeviceBlas();
  DeviceBlas(const DeviceBlas&) = delete;
  DeviceBlas& operator=(const DeviceBlas&) = delete;

  /// Whether cuBLAS was found; without it products are slower.
  bool has_library() const { return handle_ != nullptr; }

  /// out (m, n) = a b + beta out with a (m, k), or with its transpose if a is stored as (k, m); b (k, n).
  void product(const Cuda&, bool transposed, View<const std::complex<float>, 2> a, View<const std::complex<float>, 2> b,
               float beta, View<std::complex<float>, 2> out) const;

 private:
  Cuda exec_;
  void* library_ = nullptr;
  void* handle_ = nullptr;
  int (*set_stream_)(void*, void*) = nullptr;
  int (*destroy_)(void*) = nullptr;
  int (*multiply_)(void*, int, int, int, int, int, const void*, const void*, int, const void*, int, const void*, void*,
                   int) = nullptr;
};

}  // namespace sonoray
