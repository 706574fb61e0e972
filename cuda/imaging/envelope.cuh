#pragma once
#include <cstdint>
#include <vector>

#include "core/owned.cuh"
#include "imaging/envelope.h"
#include "imaging/envelope_levels.h"

namespace sonoray {

/// EnvelopePlan on a device: memory taken once, frames queued on a stream, one after the other.
class DeviceEnvelope {
 public:
  DeviceEnvelope(const Cuda&, std::int64_t n_rows, std::int64_t n);

  /// (n_rows, n) to (n_rows, n); allocates nothing.
  void operator()(const float* rf, float* envelope);

 private:
  Cuda exec_;
  std::int64_t n_rows_, n_, n_pairs_;
  std::vector<int> factors_;
  EnvelopeTables tables_{};
  DeviceBuffer<float> roots_, memory_;
};

}  // namespace sonoray
