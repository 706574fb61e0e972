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

// What libsonoray.so exports; everything else is hidden (CMakeLists.txt).
#if defined(__GNUC__) || defined(__clang__)
#define SONORAY_API __attribute__((visibility("default")))
#else
#define SONORAY_API
#endif

namespace sonoray {

class ThreadPool;

/// Host threads; 0 means as many as the machine has. With a pool of one's own (core/thread_pool.h), its threads work;
/// else those that all callers share.
struct SONORAY_API Cpu {
  int threads = 0;
  ThreadPool* pool = nullptr;
};

/// One CUDA device and one of its streams (a `cudaStream_t`; null is the legacy default stream).
struct SONORAY_API Cuda {
  int device = 0;
  void* stream = nullptr;
};

}  // namespace sonoray
