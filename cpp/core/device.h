#pragma once
#include "core/exec.h"

namespace sonoray {

/// How many devices of this kind can run work now; 0 when there is no driver.
inline int device_count(const Cpu&) { return 1; }
int device_count(const Cuda&);

/// Waits for the work of one stream, never for the whole device. Throws DeviceError if any of it failed.
inline void synchronise(const Cpu&) {}
void synchronise(const Cuda&);

}  // namespace sonoray
