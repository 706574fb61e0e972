// Streaming and threads: no allocation after prepare, the ring's policies, maps swapped under frames, many handles at
// once, cancellation, and many frames without growth of memory (their number may be given).
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <thread>

#include "allocations.h"
#include "capi/sonoray.h"
#include "capi_scene.h"
#include "check.h"

namespace {

std::vector<std::uint8_t> grey_of(const Scene& scene, double amplitude) {
  const Handle h(scene.config);
  Result r(h.p);
  const auto frame = scene.frame(amplitude);
  CHECK(sonoray_pipeline_process(h.p, frame.data(), frame.size(), &r.output) == SONORAY_OK);
  return r.grey;
}

sonoray_statistics statistics(sonoray_pipeline* p) {
  sonoray_statistics s{};
  s.size = sizeof s;
  CHECK(sonoray_pipeline_statistics(p, &s) == SONORAY_OK);
  return s;
}

struct Info : sonoray_frame_info {
  Info() : sonoray_frame_info{} { size = sizeof(sonoray_frame_info); }
};

void test_the_counter_counts() {
  const long before = allocations;
  void* volatile memory = std::malloc(100);  // volatile: compilers leave out what nobody sees
  std::free(memory);
  int* volatile number = new int(5);
  delete number;
  std::thread([] { std::free(std::calloc(static_cast<std::size_t>(allocations.load()), 8)); }).join();
  CHECK(allocations - before >= 3);
}

void test_process_allocates_nothing() {
  for (const bool iq : {false, true})
    for (const int threads : {1, 3}) {
      Scene scene(iq);
      scene.config.threads = threads;
      const Handle h(scene.config);
      Result r(h.p);
      const auto frame = scene.frame();
      const long before = allocations;
      for (int i = 0; i < 20; ++i)
        CHECK(sonoray_pipeline_process(h.p, frame.data(), frame.size(), &r.output) == SONORAY_OK);
      CHECK(allocations == before);
    }
}

void test_streaming_allocates_nothing() {
  Scene scene;
  scene.config.ring_frames = 4;
  const Handle h(scene.config);
  Result r(h.p);
  const auto frame = scene.frame();
  CHECK(sonoray_pipeline_start(h.p) == SONORAY_OK);
  const long before = allocations;
  for (int i = 0; i < 20; ++i) {
    Info info;
    CHECK(sonoray_pipeline_push(h.p, frame.data(), frame.size(), i) == SONORAY_OK);
    CHECK(sonoray_pipeline_pop(h.p, -1, &r.output, &info) == SONORAY_OK && info.number == std::uint64_t(i));
    statistics(h.p);
  }
  CHECK(allocations == before);
  CHECK(sonoray_pipeline_stop(h.p) == SONORAY_OK);
}

void test_back_pressure_keeps_every_frame_in_order() {
  Scene scene;
  scene.config.ring_frames = 2;
  const Handle h(scene.config);
  const auto frame = scene.frame();
  CHECK(sonoray_pipeline_start(h.p) == SONORAY_OK);
  std::thread pusher([&] {
    for (int i = 0; i < 30; ++i) CHECK(sonoray_pipeline_push(h.p, frame.data(), frame.size(), 100 + i) == SONORAY_OK);
  });
  Result r(h.p);
  for (int i = 0; i < 30; ++i) {
    Info info;
    CHECK(sonoray_pipeline_pop(h.p, -1, &r.output, &info) == SONORAY_OK && info.number == std::uint64_t(100 + i));
    CHECK(info.status == SONORAY_OK && info.latency > 0 && info.reference > 0);
  }
  pusher.join();
  const sonoray_statistics s = statistics(h.p);
  CHECK(s.pushed == 30 && s.finished == 30 && s.dropped == 0 && s.refused == 0 && s.failed == 0 && s.waiting == 0);
  CHECK(0 < s.latency_p50 && s.latency_p50 <= s.latency_p95 && s.latency_p95 <= s.latency_p99);
  CHECK(s.latency_p99 <= s.latency_max && s.frames_per_second > 0);
  CHECK(sonoray_pipeline_pop(h.p, 0.001, &r.output, nullptr) == SONORAY_TIMEOUT);
}

void test_full_ring_refuses_or_drops() {
  for (const int policy : {SONORAY_WHEN_FULL_REFUSE, SONORAY_WHEN_FULL_DROP_OLDEST}) {
    Scene scene;
    scene.config.ring_frames = 2;
    scene.config.when_full = policy;
    const Handle h(scene.config);
    Result r(h.p);
    const auto frame = scene.frame();
    CHECK(sonoray_pipeline_start(h.p) == SONORAY_OK);
    int taken = 0;
    for (int i = 0; i < 10; ++i)  // nobody pops
      taken += sonoray_pipeline_push(h.p, frame.data(), frame.size(), i) == SONORAY_OK;
    CHECK(taken == (policy == SONORAY_WHEN_FULL_REFUSE ? 2 : 10));
    std::uint64_t last = 0;
    int got = 0;
    for (int k = 0; k < 2; ++k) {
      Info info;
      CHECK(sonoray_pipeline_pop(h.p, -1, &r.output, &info) == SONORAY_OK);
      CHECK(got++ == 0 || info.number > last);
      last = info.number;
    }
    CHECK(last == (policy == SONORAY_WHEN_FULL_REFUSE ? 1u : 9u));
    const sonoray_statistics s = statistics(h.p);
    CHECK(s.refused == (policy == SONORAY_WHEN_FULL_REFUSE ? 8u : 0u));
    CHECK(s.dropped == (policy == SONORAY_WHEN_FULL_REFUSE ? 0u : 8u));
  }
}

void test_a_bad_frame_does_not_stop_the_stream() {
  Scene scene(true);
  scene.config.ring_frames = 4;
  const Handle h(scene.config);
  Result r(h.p);
  auto frame = scene.frame();
  const float infinity = INFINITY;
  CHECK(sonoray_pipeline_start(h.p) == SONORAY_OK);
  for (int i = 0; i < 3; ++i) {
    auto sent = frame;
    if (i == 1) std::memcpy(sent.data() + 8 * 90, &infinity, 4);
    CHECK(sonoray_pipeline_push(h.p, sent.data(), sent.size(), i) == SONORAY_OK);
  }
  CHECK(sonoray_pipeline_push(h.p, frame.data(), frame.size() / 2, 9) == SONORAY_ARGUMENT);  // a short frame
  for (int i = 0; i < 3; ++i) {
    Info info;
    CHECK(sonoray_pipeline_pop(h.p, -1, &r.output, &info) == SONORAY_OK);
    CHECK(info.status == (i == 1 ? SONORAY_DATA : SONORAY_OK));
  }
  CHECK(statistics(h.p).failed == 1);
}

/// Every image is that of one map or the other, never of a mixture, and generations only grow.
void test_maps_change_between_frames() {
  Scene scene;
  scene.config.ring_frames = 3;
  scene.config.reference = 1000.0;
  const Handle h(scene.config);
  Result r(h.p);
  const auto frame = scene.frame();
  std::vector<std::vector<std::uint8_t>> truth;
  const std::size_t nodes = Scene::map_x * Scene::map_z;
  for (const float speed : {1450.0f, 1600.0f}) {
    const std::vector<float> map(nodes, speed);
    CHECK(sonoray_pipeline_set_map(h.p, map.data(), static_cast<std::int64_t>(nodes)) == SONORAY_OK);
    CHECK(sonoray_pipeline_process(h.p, frame.data(), frame.size(), &r.output) == SONORAY_OK);
    truth.push_back(r.grey);
  }
  CHECK(truth[0] != truth[1]);
  CHECK(sonoray_pipeline_start(h.p) == SONORAY_OK);
  std::atomic<bool> done{false};
  std::thread mapper([&] {
    for (int i = 0; !done; ++i) {
      const std::vector<float> map(nodes, i % 2 ? 1600.0f : 1450.0f);
      CHECK(sonoray_pipeline_set_map(h.p, map.data(), static_cast<std::int64_t>(nodes)) == SONORAY_OK);
    }
  });
  std::uint32_t generation = 0, first = 0;
  for (int i = 0; i < 200 || generation < first + 3; ++i) {
    Info info;
    CHECK(sonoray_pipeline_push(h.p, frame.data(), frame.size(), i) == SONORAY_OK);
    CHECK(sonoray_pipeline_pop(h.p, -1, &r.output, &info) == SONORAY_OK);
    CHECK(info.map_generation >= generation);
    generation = info.map_generation;
    if (!first) first = generation;
    CHECK(r.grey == truth[generation % 2 ? 0 : 1]);
  }
  done = true;
  mapper.join();
}

void test_many_handles_in_parallel() {
  const Scene scene;
  std::vector<std::vector<std::uint8_t>> truth;
  for (int k = 0; k < 4; ++k) truth.push_back(grey_of(scene, 200.0 * (k + 1)));
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int k = 0; k < 4; ++k)
    threads.emplace_back([&, k] {
      const Handle h(scene.config);
      Result r(h.p);
      const auto frame = scene.frame(200.0 * (k + 1));
      for (int i = 0; i < 10; ++i) {
        if (sonoray_pipeline_process(h.p, frame.data(), frame.size(), &r.output) != SONORAY_OK) ++wrong;
        if (r.grey != truth[k]) ++wrong;
      }
      sonoray_pipeline_process(h.p, frame.data(), 1, &r.output);
      if (h.error().find("got 1 ") == std::string::npos) ++wrong;  // its own text
    });
  for (auto& t : threads) t.join();
  CHECK(wrong == 0);
}

void test_cancel_ends_waiting_calls() {
  Scene scene;
  scene.config.ring_frames = 2;
  const Handle h(scene.config);
  const auto frame = scene.frame();
  for (int round = 0; round < 3; ++round) {  // and the handle can be used again
    CHECK(sonoray_pipeline_start(h.p) == SONORAY_OK);
    CHECK(sonoray_pipeline_start(h.p) == SONORAY_STATE &&
          sonoray_pipeline_prepare(h.p, &scene.config) == SONORAY_STATE);
    sonoray_status pushed = SONORAY_OK;
    std::thread pusher([&] {
      while (pushed == SONORAY_OK) pushed = sonoray_pipeline_push(h.p, frame.data(), frame.size(), 0);
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    CHECK(sonoray_pipeline_cancel(h.p) == SONORAY_OK);
    pusher.join();
    CHECK(pushed == SONORAY_CANCELLED);
    Result r(h.p);
    CHECK(sonoray_pipeline_pop(h.p, -1, &r.output, nullptr) == SONORAY_CANCELLED);
    CHECK(sonoray_pipeline_stop(h.p) == SONORAY_OK);
    CHECK(sonoray_pipeline_process(h.p, frame.data(), frame.size(), &r.output) == SONORAY_OK);
  }
  CHECK(sonoray_pipeline_start(h.p) == SONORAY_OK);
  CHECK(sonoray_pipeline_push(h.p, frame.data(), frame.size(), 0) == SONORAY_OK);
}  // destroyed in the middle of a frame

/// `pop` waits in another thread, for ever or for long, and nothing comes.
void test_cancel_ends_a_waiting_pop() {
  Scene scene;
  scene.config.ring_frames = 2;
  const Handle h(scene.config);
  for (const double timeout : {-1.0, 1e5}) {
    CHECK(sonoray_pipeline_start(h.p) == SONORAY_OK);
    Result r(h.p);
    std::atomic<bool> waits{false};
    sonoray_status popped = SONORAY_OK;
    std::thread popper([&] {
      waits = true;
      popped = sonoray_pipeline_pop(h.p, timeout, &r.output, nullptr);
    });
    while (!waits) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    CHECK(sonoray_pipeline_cancel(h.p) == SONORAY_OK);
    popper.join();
    CHECK(popped == SONORAY_CANCELLED && h.error() == "pop: cancelled");
    CHECK(sonoray_pipeline_start(h.p) == SONORAY_STATE);  // not before stop
    CHECK(sonoray_pipeline_stop(h.p) == SONORAY_OK);
  }
}

/// Stacks larger than the address space: no thread starts.
void test_threads_that_do_not_start() {
  Scene scene;
  scene.config.ring_frames = 2;
  scene.config.threads = 1;
  const Handle alone(scene.config);
  pthread_attr_t before, huge;
  CHECK(pthread_getattr_default_np(&before) == 0 && pthread_attr_init(&huge) == 0);
  CHECK(pthread_attr_setstacksize(&huge, std::size_t(1) << 60) == 0 && pthread_setattr_default_np(&huge) == 0);
  const sonoray_status started = sonoray_pipeline_start(alone.p);
  scene.config.threads = 4;
  const Handle h(scene.config);
  CHECK(pthread_setattr_default_np(&before) == 0);
  CHECK(h.prepared == SONORAY_MEMORY && h.error().find("threads: could not start 3") == 0);
  CHECK(started == SONORAY_MEMORY && alone.error().find("threads: could not start 1") == 0);
  CHECK(sonoray_pipeline_start(alone.p) == SONORAY_OK);  // and then they do
  CHECK(sonoray_pipeline_prepare(h.p, &scene.config) == SONORAY_OK);
}

long resident_pages() {
  long size = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return resident;
}

void test_many_frames_do_not_grow_memory(int frames) {
  Scene scene;
  scene.config.ring_frames = 4;
  scene.config.grid.shape[0] = 8;
  scene.config.grid.shape[1] = 16;
  const Handle h(scene.config);
  Result r(h.p);
  const auto frame = scene.frame();
  CHECK(sonoray_pipeline_start(h.p) == SONORAY_OK);
  const auto run = [&](int n) {
    for (int i = 0; i < n; ++i) {
      sonoray_pipeline_push(h.p, frame.data(), frame.size() - (i % 10 == 9), i);  // every tenth is short
      if (i % 10 != 9) CHECK(sonoray_pipeline_pop(h.p, -1, &r.output, nullptr) == SONORAY_OK);
    }
  };
  run(frames / 10);
  const long pages = resident_pages(), before = allocations;
  run(frames - frames / 10);
  CHECK(allocations == before);
  CHECK(resident_pages() - pages <= 64);
  CHECK(statistics(h.p).finished == std::uint64_t(frames / 10 * 9));
}

}  // namespace

int main(int count, char** arguments) {
  test_the_counter_counts();
  test_process_allocates_nothing();
  test_streaming_allocates_nothing();
  test_back_pressure_keeps_every_frame_in_order();
  test_full_ring_refuses_or_drops();
  test_a_bad_frame_does_not_stop_the_stream();
  test_maps_change_between_frames();
  test_many_handles_in_parallel();
  test_cancel_ends_waiting_calls();
  test_cancel_ends_a_waiting_pop();
  test_threads_that_do_not_start();
  test_many_frames_do_not_grow_memory(count > 1 ? std::atoi(arguments[1]) : 1000);
  return failures;
}
