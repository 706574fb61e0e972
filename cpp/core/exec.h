#pragma once
// Where work runs. Plain data and no CUDA header, so host-compiled code can hold either place.

#if defined(__CUDACC__)
#define SONORAY_HD __host__ __device__
#else
#define SONORAY_HD
#endif

#if defined(__GNUC__) || defined(__clang__)
#define SONORAY_INLINE inline __attribute__((always_inline))
#else
#define SONORAY_INLINE inline
#endif

namespace sonoray {

/// Host threads; 0 means as many as the machine has.
struct Cpu {
  int threads = 0;
};

/// One CUDA device and one of its streams (a `cudaStream_t`; null is the legacy default stream).
struct Cuda {
  int device = 0;
  void* stream = nullptr;
};

}  // namespace sonoray
