#pragma once
// The fake's own controls.
#include <functional>

#include "cuda_runtime_api.h"

namespace fake {

/// Queues work, as a kernel's launch does.
cudaError_t launch(cudaStream_t, std::function<void()>);

void devices(int n);

/// From now on calls are misuse while another device is current; negative: none is.
void only(int device);

/// From now on the memory that begins there is managed.
void manage(const void*);

/// The call after `calls` more ones fails. After an error that loses the device all calls fail, until n calls back.
void fail(long calls, cudaError_t status);
void mend();

long allocations();       ///< of device and pinned memory, so far
long synchronisations();  ///< so far
long alive();             ///< pieces of memory, streams and events that have not been freed
bool misused();           ///< a pointer, stream or event that was none, freed twice, or in use

}  // namespace fake
