#include "capi/stream.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <system_error>

#include "core/error.h"

namespace sonoray::capi {

void Latencies::add(double seconds) { values_[count_++ % kept] = seconds; }

std::size_t Latencies::copy(std::array<double, kept>& to) const {
  const std::size_t n = std::min(count_, kept);
  std::copy_n(values_.begin(), n, to.begin());
  return n;
}

std::array<double, 4> Latencies::percentiles(std::array<double, kept>& values, std::size_t n) {
  if (n == 0) return {};
  std::sort(values.begin(), values.begin() + n);
  const auto at = [&](double part) {  // nearest rank
    const auto rank = static_cast<std::size_t>(std::ceil(part * static_cast<double>(n)));
    return values[std::max<std::size_t>(rank, 1) - 1];
  };
  return {at(0.50), at(0.95), at(0.99), values[n - 1]};
}

Stream::Stream(Pipeline& pipeline)
    : pipeline_(pipeline),
      when_full_(pipeline.settings().config.when_full),
      slots_(pipeline.settings().config.ring_frames),
      free_(slots_.size()),
      pending_(slots_.size()),
      done_(slots_.size()) {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    slots_[i].picture = pipeline.place().picture(true);
    free_.put(static_cast<int>(i));
  }
  try {
    worker_ = std::thread([this] { work(); });
  } catch (const std::system_error& e) {
    throw Failure(SONORAY_MEMORY, std::string("threads: could not start 1: ") + e.what());
  }
  std::unique_lock<std::mutex> hold(lock_);
  has_result_.wait(hold, [this] { return running_; });
}

Stream::~Stream() {
  cancel();
  worker_.join();
}

/// A slot to fill, or -1 and why there is none. The oldest frame that nobody works on makes room where that is wanted:
/// a finished one that was not fetched, else a pending one.
int Stream::room(std::unique_lock<std::mutex>& hold, sonoray_status& status) {
  for (;;) {
    if (cancelled_) {
      status = SONORAY_CANCELLED;
      return -1;
    }
    if (pipeline_.lost()) {
      status = SONORAY_DEVICE_LOST;
      return -1;
    }
    if (!free_.empty()) return free_.take();
    if (when_full_ == SONORAY_WHEN_FULL_REFUSE) {
      ++refused_;
      status = SONORAY_FULL;
      return -1;
    }
    if (when_full_ == SONORAY_WHEN_FULL_DROP_OLDEST && !(done_.empty() && pending_.empty())) {
      ++dropped_;
      return done_.empty() ? pending_.take() : done_.take();
    }
    has_room_.wait(hold);
  }
}

sonoray_status Stream::push(const void* frame, std::uint64_t number) {
  const Clock::time_point now = Clock::now();
  sonoray_status status = SONORAY_OK;
  std::unique_lock<std::mutex> hold(lock_);
  const int index = room(hold, status);
  if (index < 0) return status;
  hold.unlock();
  Slot& slot = slots_[index];
  try {
    pipeline_.place().keep(frame, *slot.picture);
  } catch (...) {
    hold.lock();
    free_.put(index);
    throw;
  }
  slot.number = number;
  slot.pushed = now;
  hold.lock();
  if (cancelled_) {
    free_.put(index);
    return SONORAY_CANCELLED;
  }
  if (pushed_++ == 0) first_ = now;
  pending_.put(index);
  hold.unlock();
  has_work_.notify_one();
  return SONORAY_OK;
}

void Stream::lose(const char* text) noexcept {
  {
    const std::lock_guard<std::mutex> hold(lock_);
    pipeline_.lose(text);
  }
  has_room_.notify_all();
  has_result_.notify_all();
}

/// Images a frame; an exception would end the process, and the next frame may be well.
void Stream::image(Slot& slot) {
  const auto failed = [&](sonoray_status status, const char* text) {
    slot.status = status;
    std::snprintf(slot.text.data(), slot.text.size(), "%s", text);
  };
  try {
    if (!pipeline_.image(nullptr, *slot.picture)) return failed(SONORAY_INTERNAL, "two threads make images");
    slot.status = pipeline_.place().wait(*slot.picture);
  } catch (const DeviceLost& e) {
    failed(SONORAY_DEVICE_LOST, e.what());
    lose(e.what());
  } catch (const DeviceError& e) {
    failed(SONORAY_DEVICE, e.what());
  } catch (const std::exception& e) {
    failed(SONORAY_INTERNAL, e.what());
  } catch (...) {
    failed(SONORAY_INTERNAL, "unknown exception");
  }
}

void Stream::work() {
  std::unique_lock<std::mutex> hold(lock_);
  running_ = true;
  has_result_.notify_all();
  for (;;) {
    has_work_.wait(hold, [this] { return cancelled_ || !pending_.empty(); });
    if (cancelled_) return;
    const int index = pending_.take();
    hold.unlock();
    Slot& slot = slots_[index];
    image(slot);
    const Clock::time_point now = Clock::now();
    slot.latency = std::chrono::duration<double>(now - slot.pushed).count();
    hold.lock();
    ++finished_;
    failed_ += slot.status != SONORAY_OK;
    last_ = now;
    latencies_.add(slot.latency);
    done_.put(index);
    has_result_.notify_one();
    has_room_.notify_one();  // where a finished frame may be dropped
  }
}

sonoray_status Stream::pop(double timeout, const sonoray_output& output, sonoray_frame_info& info, Text& text) {
  std::unique_lock<std::mutex> hold(lock_);
  const auto ready = [this] { return cancelled_ || !done_.empty() || pipeline_.lost(); };
  if (timeout < 0) {
    has_result_.wait(hold, ready);
  } else {
    const auto wait = std::chrono::duration<double>(std::min(timeout, 1e6));
    has_result_.wait_for(hold, wait, ready);
  }
  if (cancelled_) return SONORAY_CANCELLED;
  if (done_.empty()) return pipeline_.lost() ? SONORAY_DEVICE_LOST : SONORAY_TIMEOUT;
  const int index = done_.take();
  hold.unlock();
  Slot& slot = slots_[index];
  try {
    if (slot.status == SONORAY_OK) pipeline_.place().copy(*slot.picture, output);
  } catch (...) {
    hold.lock();
    free_.put(index);
    hold.unlock();
    has_room_.notify_one();
    throw;
  }
  if (slot.status != SONORAY_OK) text = slot.text;
  info.number = slot.number;
  info.status = slot.status;
  info.map_generation = slot.picture->generation;
  info.latency = slot.latency;
  info.reference = slot.picture->reference;
  hold.lock();
  free_.put(index);
  hold.unlock();
  has_room_.notify_one();
  return SONORAY_OK;
}

void Stream::cancel() {
  {
    const std::lock_guard<std::mutex> hold(lock_);
    cancelled_ = true;
  }
  has_room_.notify_all();
  has_work_.notify_all();
  has_result_.notify_all();
}

void Stream::statistics(sonoray_statistics& to) {
  to.map_generation = pipeline_.generation();
  const std::lock_guard<std::mutex> one(sorting_);
  std::unique_lock<std::mutex> hold(lock_);
  to.pushed = pushed_;
  to.finished = finished_;
  to.dropped = dropped_;
  to.refused = refused_;
  to.failed = failed_;
  to.waiting = static_cast<std::uint32_t>(pending_.size());
  const double elapsed = std::chrono::duration<double>(last_ - first_).count();
  const std::size_t n = latencies_.copy(sorted_);
  hold.unlock();  // frames do not wait for the sort
  const auto values = Latencies::percentiles(sorted_, n);
  to.latency_p50 = values[0];
  to.latency_p95 = values[1];
  to.latency_p99 = values[2];
  to.latency_max = values[3];
  to.frames_per_second = to.finished ? static_cast<double>(to.finished) / std::max(elapsed, 1e-9) : 0.0;
}

}  // namespace sonoray::capi
