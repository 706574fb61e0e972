#pragma once
#include <cstdint>
#include <memory>

#include "core/owned.cuh"
#include "imaging/display.h"
#include "imaging/envelope.cuh"

namespace sonoray {

/// What a device says of an image, in its memory; zeros at first.
struct DisplayReport {
  float reference;       ///< shown as 0 dB, of the last image
  std::uint32_t finite;  ///< whether the last image was
  std::uint32_t failed;  ///< how many were not
};

/// DisplayPlan on a device: memory taken once, images queued on a stream, one after the other.
class DeviceDisplay {
 public:
  DeviceDisplay(const Cuda&, const DisplayProblem&);

  /// As DisplayPlan; allocates nothing. Of an image that is not finite `decibels` and `grey` are not written.
  void operator()(const float* image, float* envelope, float* decibels, std::uint8_t* grey, DisplayReport* report);

 private:
  Cuda exec_;
  DisplayProblem problem_;
  std::unique_ptr<DeviceEnvelope> analytic_;
  DeviceBuffer<float> gain_, largest_;
  DeviceBuffer<display_kernel::Place> places_;
  std::int64_t n_places_ = 0;
};

}  // namespace sonoray
