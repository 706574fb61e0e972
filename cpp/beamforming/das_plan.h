#pragma once
#include <cstdint>
#include <memory>

#include "beamforming/das_levels.h"
#include "core/aligned_memory.h"

namespace sonoray {

/// das() on the host in two steps: here the checks, the tiles and the working memory of all threads; then frames of
/// one layout, without allocation. One call at a time.
class DasPlan {
 public:
  /// Throws as das() does. Of `samples` the data may be null; what the problem's views show is read in every call.
  DasPlan(const Cpu&, const DasProblem&, const Strided& samples);

  /// Frames at `samples`, with the type, shape and strides given above, to image as from das(). The views' values may
  /// have changed since, if check_times still holds for them.
  void operator()(const void* samples, float* image);

 private:
  Cpu exec_;
  DasProblem problem_;
  DasRecord record_;
  DasTiles tiles_{};
  bool over_frames_ = false;
  int workers_ = 1;
  std::int64_t stride_ = 0;  // floats of a worker's memory
  std::unique_ptr<AlignedMemory> memory_;
};

}  // namespace sonoray
