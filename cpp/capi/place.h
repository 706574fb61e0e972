#pragma once
// Where a pipeline's frames are worked on: the host (place.cpp) or, in libraries built with CUDA, a device
// (cuda/capi/place.cu).
#include <cstdint>
#include <memory>
#include <vector>

#include "beamforming/das.h"
#include "capi/settings.h"
#include "imaging/display.h"

namespace sonoray::capi {

/// A frame in flight, in its place's memory: samples that were kept, and all that they become.
struct Picture {
  virtual ~Picture() = default;
  std::uint32_t generation = 0;
  float reference = 0.0f;  ///< once it has been waited for
};

/// `image` calls come one after the other; meanwhile one thread may `keep` or `copy` other pictures, and one may
/// `set_tables` that no frame uses. But for that function, `picture` and `read` nothing allocates. A device's work is
/// queued on the caller's stream; pointers of the caller may be the host's or the device's there.
class Place {
 public:
  virtual ~Place() = default;

  /// Memory for a frame in flight; with `ring`, for samples that are kept, too.
  virtual std::unique_ptr<Picture> picture(bool ring) = 0;

  /// Makes set 0 or 1 the tables of a problem, whose arrays are the host's and stay. Frames that were queued with the
  /// set's former tables are waited for.
  virtual void set_tables(int set, const DasProblem&) = 0;

  /// Takes a copy of a frame's samples. A device's are read in the order of its stream.
  virtual void keep(const void* frame, Picture&) = 0;

  /// From samples, or from those that were kept (null), to the screen, through a set of tables.
  virtual void image(int set, const void* frame, Picture&) = 0;

  /// Waits for a picture. SONORAY_DATA if it, or one before it in the same memory that nobody waited for, holds NaN or
  /// infinity.
  virtual sonoray_status wait(Picture&) = 0;

  /// Hands out what was asked for; waits only if some of that is memory of the host. SONORAY_DATA, and nothing
  /// written, if the picture holds NaN or infinity; on a device without waiting nothing is written, but SONORAY_OK
  /// said.
  virtual sonoray_status copy(Picture&, const sonoray_output&) = 0;

  /// Throws ArgumentError if the pipeline cannot use this memory.
  virtual void check_memory(const char* name, const void* pointer) const = 0;

  /// The bytes at `from` for the host: `from` itself, or a copy in `room`.
  virtual const void* read(const void* from, std::size_t bytes, std::vector<char>& room) = 0;
  virtual void write(void* to, const void* from, std::size_t bytes) = 0;
};

/// The settings must outlive the place.
std::unique_ptr<Place> make_host_place(const Cpu&, const Settings&);

/// Throws Failure, SONORAY_UNSUPPORTED, in a library without CUDA; DeviceError where there is no such device.
std::unique_ptr<Place> make_device_place(const Settings&);

DisplayProblem display_problem(const Settings&);

}  // namespace sonoray::capi
