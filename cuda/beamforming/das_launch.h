#pragma once
#include "beamforming/das_levels.h"

namespace sonoray {

/// Queues das() on the caller's stream; allocates nothing. Problem, samples and image are in device memory, and
/// check_das and das_record have accepted them.
void launch_das(const Cuda&, const DasProblem&, const DasRecord&, float* image);

}  // namespace sonoray
