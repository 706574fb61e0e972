#pragma once
#include <stdexcept>
#include <string>

#include "core/exec.h"

namespace sonoray {

/// A shape, an option or a value is wrong. The text names the argument, what was wanted, what came.
struct SONORAY_API ArgumentError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

/// No such device, or a CUDA call failed.
struct SONORAY_API DeviceError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The device is gone, or its context is damaged: nothing runs there any more.
struct DeviceLost : DeviceError {
  using DeviceError::DeviceError;
};

/// Throws ArgumentError(text) unless `ok`.
inline void require(bool ok, const std::string& text) {
  if (!ok) throw ArgumentError(text);
}

}  // namespace sonoray
