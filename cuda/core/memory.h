#pragma once
// Device memory for host-compiled code: no CUDA header, so the binding needs only a C++ compiler.
#include <cstddef>

#include "core/exec.h"

namespace sonoray {

/// `bytes` of device memory that lives until device_free.
void* device_allocate(const Cuda&, std::size_t bytes);
void device_free(const Cuda&, void*) noexcept;

/// Queue behind the stream's work; host memory must stay until the stream has been waited for.
void copy_to_device(const Cuda&, void* device, const void* host, std::size_t bytes);
void copy_to_host(const Cuda&, void* host, const void* device, std::size_t bytes);

}  // namespace sonoray
