#pragma once
// What a handle holds: one configuration, the tables in use and those being made, and the memory of a frame.
#include <array>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "capi/network.h"
#include "capi/settings.h"
#include "capi/tables.h"
#include "core/thread_pool.h"
#include "imaging/display.h"

namespace sonoray::capi {

/// All that a frame becomes.
struct Picture {
  std::vector<float> image, envelope, decibels;
  std::vector<std::uint8_t> grey;
  float reference = 0.0f;
  std::uint32_t generation = 0;
};

class Pipeline {
 public:
  explicit Pipeline(const sonoray_config*);

  const Settings& settings() const { return settings_; }
  void allocate(Picture&) const;
  std::size_t n_grey() const { return static_cast<std::size_t>(display_->n_grey()); }

  /// One frame into a picture; allocates nothing. Not from two threads at once: false if another is in here.
  bool image(const void* frame, Picture&, sonoray_status&);

  /// The status and text of an output that a picture does not fit; SONORAY_OK if it does. Never throws.
  sonoray_status check(const sonoray_output&, char* text, std::size_t capacity) const;
  static void copy(const Picture&, const sonoray_output&);

  void set_map(const float* sound_speed, std::int64_t count);
  void set_tables(const float* times, std::int64_t times_count, const float* slowness, std::int64_t slowness_count,
                  const sonoray_grid* table);
  void estimate_map(const void* frame, std::size_t bytes, float* sound_speed, std::int64_t count);
  std::uint32_t generation();

  Picture own;  ///< of `process`

 private:
  struct InFrame;
  struct InUse;

  template <class Make>
  void replace(const Make& make);
  void place_map(const float* sound_speed);

  Settings settings_;
  Cpu frames_, maps_;  // before the pools, which are written into them
  std::unique_ptr<ThreadPool> frame_pool_, map_pool_;
  std::unique_ptr<DisplayPlan> display_;
  Network network_;
  std::mutex making_;  // one map at a time
  std::mutex swapping_;
  std::condition_variable released_;
  std::array<Tables, 2> sets_;
  int active_ = 0;
  int users_[2] = {0, 0};
  std::uint32_t generation_ = 0;
  std::atomic<bool> busy_{false};
};

}  // namespace sonoray::capi
