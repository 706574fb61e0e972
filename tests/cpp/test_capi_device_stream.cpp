// Streams on a fake of the CUDA runtime: what waits for what, and who hears of a failure.
#include <atomic>
#include <chrono>
#include <thread>

#include "check.h"
#include "device_scene.h"
#include "fake.h"

namespace {

void sleep_until_finished(sonoray_pipeline* p, std::uint64_t frames) {
  sonoray_statistics s{};
  s.size = sizeof s;
  while (sonoray_pipeline_statistics(p, &s) == SONORAY_OK && s.finished < frames)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

/// A call on a thread of its own, that waits by the time it is made; `end` cancels one that would wait for ever.
template <class Call>
class Waiting {
 public:
  Waiting(sonoray_pipeline* p, const Call& call)
      : p_(p), thread_([this, call] {
          status_ = call();
          back_ = true;
        }) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  sonoray_status end() {
    for (int i = 0; i < 500 && !back_; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    if (!back_) sonoray_pipeline_cancel(p_);
    thread_.join();
    return status_;
  }

 private:
  sonoray_pipeline* const p_;
  sonoray_status status_ = SONORAY_OK;
  std::atomic<bool> back_{false};
  std::thread thread_;
};

/// A prepared stream of two frames, and what may be done with it.
struct Ring {
  explicit Ring(void* stream = nullptr) : h(configured(scene, stream)), r(h.p), frame(scene.frame()) {
    CHECK(sonoray_pipeline_start(h.p) == SONORAY_OK);
  }
  static const sonoray_config& configured(Scene& scene, void* stream) {
    on_device(scene);
    scene.config.ring_frames = 2;
    scene.config.stream = stream;
    return scene.config;
  }
  sonoray_status push() { return sonoray_pipeline_push(h.p, frame.data(), frame.size(), pushed++); }
  sonoray_status pop() { return sonoray_pipeline_pop(h.p, -1.0, &r.output, nullptr); }
  sonoray_status set_map() {
    const std::vector<float> map(Scene::map_x * Scene::map_z, 1500.0f);
    return sonoray_pipeline_set_map(h.p, map.data(), static_cast<std::int64_t>(map.size()));
  }
  void fill() {
    for (int i = 0; i < 2; ++i) CHECK(push() == SONORAY_OK);
    sleep_until_finished(h.p, pushed);
  }
  Scene scene;
  Handle h;
  Result r;
  const std::vector<char> frame;
  std::uint64_t pushed = 0;
};

void test_streaming() {
  Scene scene;
  on_device(scene);
  scene.config.ring_frames = 3;
  const auto frame = scene.frame();
  const auto truth = by_cpu(scene, frame);
  const Handle h(scene.config);
  Result r(h.p);
  DeviceResult d(r);
  OnDevice<char> samples(frame.size());
  samples.set(frame.data());
  CHECK(sonoray_pipeline_start(h.p) == SONORAY_OK);
  CHECK(sonoray_pipeline_wait(h.p) == SONORAY_STATE);
  const long allocated = fake::allocations();
  for (std::uint64_t number = 0; number < 12; ++number) {
    const void* const from = number % 2 ? static_cast<const void*>(samples.data) : frame.data();
    CHECK(sonoray_pipeline_push(h.p, from, frame.size(), number) == SONORAY_OK);
    sonoray_frame_info info{};
    info.size = sizeof info;
    const bool to_device = number % 3 == 0;
    CHECK(sonoray_pipeline_pop(h.p, -1.0, to_device ? &d.output : &r.output, &info) == SONORAY_OK);
    CHECK(info.number == number && info.status == SONORAY_OK && info.reference > 0);
    CHECK((to_device ? d.image.get() : r.image) == truth->image);
  }
  CHECK(fake::allocations() == allocated);
  CHECK(sonoray_pipeline_stop(h.p) == SONORAY_OK);
}

/// A call that waits hears of a loss that another one met.
void test_a_loss_wakes_who_waits() {
  for (const int how : {0, 1, 2}) {  // a pop, and a map or a frame meets the loss; a push, and a map does
    Ring ring;
    if (how == 2) ring.fill();
    Waiting waiting(ring.h.p, [&] { return how == 2 ? ring.push() : ring.pop(); });
    fake::fail(0, cudaErrorLaunchFailure);
    CHECK((how == 1 ? ring.push() : ring.set_map()) == SONORAY_DEVICE_LOST);
    CHECK(waiting.end() == SONORAY_DEVICE_LOST && contains(ring.h.error(), "a fake loss"));
    CHECK(sonoray_pipeline_stop(ring.h.p) == SONORAY_OK);
    fake::mend();
  }
}

/// A frame that cannot be handed out is given up, and its slot goes to who waits for one.
void test_failed_pops_make_room() {
  Ring ring;
  ring.fill();
  Waiting waiting(ring.h.p, [&] { return ring.push(); });
  fake::fail(10, cudaErrorInvalidValue);  // behind the checks of four outputs
  CHECK(ring.pop() == SONORAY_DEVICE);
  CHECK(waiting.end() == SONORAY_OK);
  CHECK(ring.pop() == SONORAY_OK && ring.pop() == SONORAY_OK);
}

/// The frame's failure says what CUDA said.
void test_failed_frames_say_why() {
  Ring ring;
  int said = 0;
  std::uint64_t taken = 0;
  for (long calls = 0; calls < 20; ++calls) {
    fake::fail(calls, cudaErrorInvalidValue);
    if (ring.push() != SONORAY_OK) continue;
    sleep_until_finished(ring.h.p, ++taken);
    fake::mend();
    if (ring.pop() == SONORAY_DEVICE) said += contains(ring.h.error(), "frame: the device failed: CUDA, ");
  }
  fake::mend();
  CHECK(said > 2);
}

/// A finished frame comes at once, whatever is queued behind it.
void test_pop_waits_for_its_own_frame() {
  cudaStream_t stream = nullptr;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  {
    Ring ring(stream);
    DeviceResult d(ring.r);
    sonoray_output mixed = ring.r.output;
    mixed.grey = d.grey.data;
    for (const sonoray_output* output : {&ring.r.output, &d.output, &mixed}) {
      CHECK(ring.push() == SONORAY_OK);
      sleep_until_finished(ring.h.p, ring.pushed);
      bool ran = false;
      fake::launch(stream, [&ran] { ran = true; });
      CHECK(sonoray_pipeline_pop(ring.h.p, -1.0, output, nullptr) == SONORAY_OK && !ran);
      cudaStreamSynchronize(stream);
      CHECK(ran);
    }
  }
  cudaStreamDestroy(stream);
}

/// A thread that waits for room or for a frame does not wait for ever.
void test_lost_while_streaming() {
  Scene scene;
  on_device(scene);
  scene.config.ring_frames = 2;
  const auto frame = scene.frame();
  const Handle h(scene.config);
  Result r(h.p);
  CHECK(sonoray_pipeline_start(h.p) == SONORAY_OK);
  sonoray_status pushed = SONORAY_OK;
  std::thread pusher([&] {
    for (std::uint64_t i = 0; i < 1000 && pushed == SONORAY_OK; ++i)
      pushed = sonoray_pipeline_push(h.p, frame.data(), frame.size(), i);
  });
  fake::fail(60, cudaErrorLaunchFailure);
  sonoray_status popped = SONORAY_OK, last = SONORAY_OK;
  for (int i = 0; i < 1000 && popped == SONORAY_OK; ++i) {
    sonoray_frame_info info{};
    info.size = sizeof info;
    popped = sonoray_pipeline_pop(h.p, -1.0, &r.output, &info);
    if (popped == SONORAY_OK) last = info.status;
  }
  pusher.join();
  CHECK(pushed == SONORAY_DEVICE_LOST && popped == SONORAY_DEVICE_LOST);
  CHECK(last == SONORAY_OK || last == SONORAY_DEVICE_LOST);
  CHECK(contains(h.error(), "a fake loss"));
  sonoray_statistics s{};
  s.size = sizeof s;
  CHECK(sonoray_pipeline_statistics(h.p, &s) == SONORAY_OK && s.pushed > 0);
  CHECK(sonoray_pipeline_prepare(h.p, &scene.config) == SONORAY_STATE);
  CHECK(sonoray_pipeline_stop(h.p) == SONORAY_OK);
  scene.config.device = SONORAY_CPU;  // the scanner goes on without
  CHECK(sonoray_pipeline_prepare(h.p, &scene.config) == SONORAY_OK);
  CHECK(sonoray_pipeline_process(h.p, frame.data(), frame.size(), &r.output) == SONORAY_OK);
  fake::mend();
}

}  // namespace

int main() {
  test_streaming();
  test_a_loss_wakes_who_waits();
  test_failed_pops_make_room();
  test_failed_frames_say_why();
  test_pop_waits_for_its_own_frame();
  test_lost_while_streaming();
  CHECK(fake::alive() == 0 && !fake::misused());
  return failures;
}
