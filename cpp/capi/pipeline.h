#pragma once
// What a handle holds: one configuration, the tables in use and those being made, and the memory of a frame.
#include <array>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>

#include "capi/network.h"
#include "capi/place.h"
#include "capi/settings.h"
#include "capi/tables.h"
#include "core/thread_pool.h"

namespace sonoray::capi {

class Pipeline {
 public:
  explicit Pipeline(const sonoray_config*);

  const Settings& settings() const { return settings_; }
  Place& place() { return *place_; }

  /// One frame into a picture, or the samples that the picture keeps (null); allocates nothing. Not from two threads at
  /// once: false if another is in here.
  bool image(const void* frame, Picture&);

  /// The status and text of a frame, or of an output that a picture does not fit; SONORAY_OK if it does.
  sonoray_status check_frame(const void* frame, std::size_t bytes, char* text, std::size_t capacity) const;
  sonoray_status check(const sonoray_output&, char* text, std::size_t capacity) const;

  void set_map(const float* sound_speed, std::int64_t count);
  void set_tables(const float* times, std::int64_t times_count, const float* slowness, std::int64_t slowness_count,
                  const sonoray_grid* table);
  void estimate_map(const void* frame, float* sound_speed, std::int64_t count);
  std::uint32_t generation();

  /// Once the device is lost, with the text of the call that lost it.
  bool lost() const { return lost_.load(std::memory_order_acquire); }
  void lose(const char* text) noexcept;
  void loss(char* text, std::size_t capacity) const noexcept;

  std::unique_ptr<Picture> own;  ///< of `process`

 private:
  struct InFrame;
  struct InUse;

  template <class Make>
  void replace(const Make& make);
  void place_map(const float* sound_speed);

  Settings settings_;
  Cpu frames_, maps_;  // before the pools, which are written into them
  std::unique_ptr<ThreadPool> frame_pool_, map_pool_;
  std::unique_ptr<Place> place_;
  Network network_;
  std::mutex making_;  // one map at a time
  std::mutex swapping_;
  std::condition_variable released_;
  std::array<Tables, 2> sets_;
  int active_ = 0;
  int users_[2] = {0, 0};
  std::uint32_t generation_ = 0;
  std::atomic<bool> busy_{false}, lost_{false};
  mutable std::mutex losing_;  // of the text
  char loss_[400] = "";        // not a string: it is written where memory may be short
};

}  // namespace sonoray::capi
