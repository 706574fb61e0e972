// Frames from a ring in shared memory, in C++: one thread feeds the pipeline as the scanner writes, this one shows what
// comes out, and says how many frames a second and how late.
//
//   watch_ring /NAME
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <thread>

#include "demo_scanner.h"
#include "sonoray.hpp"

namespace {

using sonoray::embed::Pipeline;

/// The scanner's memory, read only.
class Ring {
 public:
  explicit Ring(const char* name) {
    for (int tries = 0; tries < 500 && !ring_; ++tries) {  // the scanner may not have started yet
      open(name);
      if (!ring_) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    if (!ring_) throw std::runtime_error(std::string(name) + ": no ring of frames");
  }
  ~Ring() { munmap(const_cast<demo_ring*>(ring_), size_); }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  std::uint64_t written() const { return demo_load(&ring_->written); }
  std::uint64_t slots() const { return ring_->slots; }
  bool ended() const { return demo_load(&ring_->ended) != 0; }
  const char* frame(std::uint64_t k) const {
    return reinterpret_cast<const char*>(ring_ + 1) + k % ring_->slots * DEMO_FRAME_BYTES;
  }

 private:
  void open(const char* name) {
    const int file = shm_open(name, O_RDONLY, 0);
    if (file < 0) return;
    struct stat about{};
    if (fstat(file, &about) == 0 && about.st_size >= static_cast<off_t>(sizeof(demo_ring))) {
      size_ = static_cast<std::size_t>(about.st_size);
      void* at = mmap(nullptr, size_, PROT_READ, MAP_SHARED, file, 0);
      if (at != MAP_FAILED) ring_ = static_cast<const demo_ring*>(at);
    }
    close(file);
    if (ring_ && (demo_load(&ring_->magic) != DEMO_MAGIC || ring_->slots < 2 ||
                  ring_->slots > (size_ - sizeof(demo_ring)) / DEMO_FRAME_BYTES)) {
      munmap(const_cast<demo_ring*>(ring_), size_);
      ring_ = nullptr;
    }
  }

  const demo_ring* ring_ = nullptr;
  std::size_t size_ = 0;
};

Pipeline make_pipeline() {
  std::vector<float> elements;
  for (int e = 0; e < DEMO_ELEMENTS; ++e)
    for (const double v : {(e - 0.5 * (DEMO_ELEMENTS - 1)) * DEMO_PITCH, 0.0, 0.0})
      elements.push_back(static_cast<float>(v));
  std::vector<sonoray_transmit> transmits;
  for (const double sine : demo_sines)
    transmits.push_back(sonoray::embed::plane_wave(sine, std::sqrt(1 - sine * sine)));
  sonoray_config c = sonoray::embed::default_config();
  c.n_elements = DEMO_ELEMENTS;
  c.elements = elements.data();
  c.n_transmits = DEMO_TRANSMITS;
  c.transmits = transmits.data();
  c.sample_type = SONORAY_INT16;
  c.n_samples = DEMO_SAMPLES;
  c.sampling_frequency = DEMO_SAMPLING_FREQUENCY;
  c.center_frequency = DEMO_CENTER_FREQUENCY;
  c.grid.kind = SONORAY_GRID_CARTESIAN;
  c.grid.n_axes = 2;
  c.grid.shape[0] = 128;
  c.grid.shape[1] = 512;
  c.grid.spacing[0] = 1.5e-4;
  c.grid.spacing[1] = 6e-5;
  c.grid.origin[0] = -0.5 * 1.5e-4 * 127;
  c.grid.origin[1] = 3e-3;
  c.ring_frames = 4;
  c.when_full = SONORAY_WHEN_FULL_DROP_OLDEST;  // a live picture: the newest frame counts
  return Pipeline(c);
}

/// Pushes frames as they come until the scanner ends or `stop`; returns how many were overwritten before they could be
/// read. A scanner that neither writes nor ends has died.
std::uint64_t feed(const Ring& ring, Pipeline& pipeline, const std::atomic<bool>& stop) {
  using Clock = std::chrono::steady_clock;
  constexpr auto patience = std::chrono::seconds(5);
  std::vector<char> copy(DEMO_FRAME_BYTES);
  std::uint64_t missed = 0;
  Clock::time_point last = Clock::now();
  for (std::uint64_t next = 0; !stop;) {
    const bool ended = ring.ended();  // before the number: all that was written before the end is seen
    const std::uint64_t written = ring.written();
    if (next >= written) {
      if (ended) break;
      if (Clock::now() - last > patience) throw std::runtime_error("no frame in 5 s: the scanner is gone");
      std::this_thread::sleep_for(std::chrono::microseconds(200));
      continue;
    }
    last = Clock::now();
    const std::uint64_t oldest = written > ring.slots() - 1 ? written - (ring.slots() - 1) : 0;
    missed += oldest > next ? oldest - next : 0;
    next = std::max(next, oldest);
    std::memcpy(copy.data(), ring.frame(next), copy.size());
    std::atomic_thread_fence(std::memory_order_acquire);  // the number is read after the frame
    if (ring.written() - next < ring.slots()) {           // not overwritten meanwhile
      pipeline.push(copy.data(), copy.size(), next);
    } else {
      ++missed;
    }
    ++next;
  }
  return missed;
}

/// feed() in a thread, which ends with this object.
class Feeder {
 public:
  Feeder(const Ring& ring, Pipeline& pipeline) : thread_([this, &ring, &pipeline] { run(ring, pipeline); }) {}
  ~Feeder() {
    stop_ = true;
    thread_.join();
  }
  Feeder(const Feeder&) = delete;
  Feeder& operator=(const Feeder&) = delete;

  bool ended() const { return ended_; }
  /// Frames missed, after the end; throws what ended the thread.
  std::uint64_t missed() const {
    if (error_) std::rethrow_exception(error_);
    return missed_;
  }

 private:
  void run(const Ring& ring, Pipeline& pipeline) {
    try {
      missed_ = feed(ring, pipeline, stop_);
    } catch (...) {
      error_ = std::current_exception();
    }
    ended_ = true;
  }

  std::atomic<bool> stop_{false}, ended_{false};
  std::uint64_t missed_ = 0;
  std::exception_ptr error_;
  std::thread thread_;  // last: it uses the others
};

int watch(const char* name) {
  const Ring ring(name);
  Pipeline pipeline = make_pipeline();
  sonoray::embed::Frame picture = pipeline.frame();
  pipeline.start();
  const Feeder feeder(ring, pipeline);
  std::uint64_t shown = 0;
  for (;;) {
    const bool ended = feeder.ended();
    const sonoray_statistics s = pipeline.statistics();
    if (ended && shown + s.dropped == s.pushed) break;  // every frame was fetched or given up
    if (pipeline.pop(picture, 0.05)) ++shown;           // here it would go to the screen
  }
  const std::uint64_t missed = feeder.missed();
  const sonoray_statistics s = pipeline.statistics();
  std::printf("%llu frames shown, %llu dropped, %llu missed, %.1f frames/s\n", static_cast<unsigned long long>(shown),
              static_cast<unsigned long long>(s.dropped), static_cast<unsigned long long>(missed), s.frames_per_second);
  std::printf("latency p50 %.2f ms, p95 %.2f ms, p99 %.2f ms, max %.2f ms\n", 1e3 * s.latency_p50, 1e3 * s.latency_p95,
              1e3 * s.latency_p99, 1e3 * s.latency_max);
  return shown > 0 && s.failed == 0 ? 0 : 1;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "use: %s /NAME\n", arguments[0]);
    return 2;
  }
  try {
    return watch(arguments[1]);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
