#pragma once
// Frames in flight: a ring between the thread that pushes, the worker, and the thread that pops.
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "capi/pipeline.h"

namespace sonoray::capi {

/// The last latencies, and percentiles of them.
class Latencies {
 public:
  static constexpr std::size_t kept = 4096;

  void add(double seconds);
  /// Their number.
  std::size_t copy(std::array<double, kept>& to) const;
  /// p50, p95, p99 and the largest [s] of the first n; zeros of none. Sorts.
  static std::array<double, 4> percentiles(std::array<double, kept>&, std::size_t n);

 private:
  std::array<double, kept> values_{};
  std::size_t count_ = 0;
};

class Stream {
 public:
  explicit Stream(Pipeline&);
  ~Stream();

  sonoray_status push(const void* frame, std::uint64_t number);
  /// Why a frame failed.
  using Text = std::array<char, 300>;

  /// SONORAY_OK if a frame came; its own status is in the info, and what the device or the worker said in the text. A
  /// frame that cannot be handed out is given up.
  sonoray_status pop(double timeout, const sonoray_output&, sonoray_frame_info&, Text&);
  void cancel();
  /// Tells the pipeline that its device is lost, and whoever waits for what will not come.
  void lose(const char* text) noexcept;
  void statistics(sonoray_statistics&);

 private:
  using Clock = std::chrono::steady_clock;

  struct Slot {
    std::unique_ptr<Picture> picture;
    std::uint64_t number = 0;
    sonoray_status status = SONORAY_OK;
    Text text{};
    Clock::time_point pushed;
    double latency = 0.0;
  };

  /// Slots in order of arrival, in memory taken once.
  class Queue {
   public:
    explicit Queue(std::size_t capacity) : slots_(capacity) {}
    bool empty() const { return count_ == 0; }
    std::size_t size() const { return count_; }
    void put(int slot) { slots_[(first_ + count_++) % slots_.size()] = slot; }
    int take() {
      const int slot = slots_[first_];
      first_ = (first_ + 1) % slots_.size();
      --count_;
      return slot;
    }

   private:
    std::vector<int> slots_;
    std::size_t first_ = 0, count_ = 0;
  };

  int room(std::unique_lock<std::mutex>&, sonoray_status&);
  void work();
  void image(Slot&);

  Pipeline& pipeline_;
  const std::int32_t when_full_;
  std::vector<Slot> slots_;
  std::mutex lock_;
  std::condition_variable has_room_, has_work_, has_result_;
  Queue free_, pending_, done_;
  bool running_ = false, cancelled_ = false;
  std::uint64_t pushed_ = 0, finished_ = 0, dropped_ = 0, refused_ = 0, failed_ = 0;
  Latencies latencies_;
  std::mutex sorting_;  // of what `statistics` sorts, taken before `lock_`
  std::array<double, Latencies::kept> sorted_{};
  Clock::time_point first_, last_;
  std::thread worker_;
};

}  // namespace sonoray::capi
