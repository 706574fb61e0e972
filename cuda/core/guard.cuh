#pragma once
#include <cuda_runtime_api.h>

#include <string>

#include "core/error.h"
#include "core/exec.h"

namespace sonoray {

/// Whether no later call can succeed either: errors that stay with the context until the process ends.
inline bool is_lost(cudaError_t status) {
  switch (static_cast<int>(status)) {  // by number where headers of older toolkits have no name
    case cudaErrorAssert:
    case cudaErrorContextIsDestroyed:
    case cudaErrorECCUncorrectable:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalAddress:
    case cudaErrorIllegalInstruction:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorMisalignedAddress:
    case cudaErrorMpsClientTerminated:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorUnknown:
    case 226:  // cudaErrorContained
    case 721:  // cudaErrorTensorMemoryLeak
    case 911:  // cudaErrorExternalDevice
      return true;
    default:
      return false;
  }
}

inline void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // clear it, so that the next call does not report this one again
  const std::string text = std::string("CUDA, ") + what + ": " + cudaGetErrorString(status);
  if (is_lost(status)) throw DeviceLost(text);
  throw DeviceError(text);
}

/// For destructors, which have nobody to tell: clears an error, so that the next call does not report it.
inline void quietly(cudaError_t status) noexcept {
  if (status != cudaSuccess) (void)cudaGetLastError();
}

inline cudaStream_t stream_of(const Cuda& exec) { return static_cast<cudaStream_t>(exec.stream); }

/// Makes a device current and puts the caller's back; its destructor never throws.
class DeviceGuard {
 public:
  explicit DeviceGuard(int device) {
    check(cudaGetDevice(&previous_), "cudaGetDevice");
    changed_ = device != previous_;
    if (changed_) check(cudaSetDevice(device), "cudaSetDevice");
  }
  ~DeviceGuard() {
    if (changed_) quietly(cudaSetDevice(previous_));  // setting even the current one would make a context there
  }
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

 private:
  int previous_ = 0;
  bool changed_ = false;
};

}  // namespace sonoray
