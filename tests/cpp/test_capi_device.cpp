// The C API on a device, with a fake of the CUDA runtime: where memory is, what waits for what, what is allocated, and
// what happens when the device goes. The kernels' formulas run on the host; what a GPU makes of them tests/capi asks,
// where there is one.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>

#include "capi_scene.h"
#include "check.h"
#include "fake.h"

namespace {

bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

void on_device(Scene& scene) { scene.config.device = SONORAY_CUDA; }

/// A sector instead, shown on an even grid.
struct Sector {
  std::array<double, 20> angles;
  std::array<double, 45> ranges;
  explicit Sector(Scene& scene) {
    for (std::size_t i = 0; i < angles.size(); ++i) angles[i] = -0.5 + 0.05 * static_cast<double>(i);
    for (std::size_t i = 0; i < ranges.size(); ++i) ranges[i] = 3e-3 + 5e-5 * static_cast<double>(i);
    sonoray_grid& g = scene.config.grid;
    g = {};
    g.kind = SONORAY_GRID_SECTOR;
    g.shape[0] = static_cast<std::int64_t>(angles.size());
    g.shape[1] = static_cast<std::int64_t>(ranges.size());
    g.angles = angles.data();
    g.ranges = ranges.data();
    sonoray_grid& d = scene.config.display;
    d.kind = SONORAY_GRID_CARTESIAN;
    d.n_axes = 2;
    d.shape[0] = 30;
    d.shape[1] = 33;
    d.spacing[0] = d.spacing[1] = 1.5e-4;
    d.origin[0] = -2.2e-3;
    d.origin[1] = 2e-3;
    scene.config.map.kind = SONORAY_GRID_NONE;
  }
};

/// Memory of the fake device; `get` waits for everything.
template <class T>
struct OnDevice {
  explicit OnDevice(std::size_t n) : size(n) { cudaMalloc(reinterpret_cast<void**>(&data), n * sizeof(T)); }
  ~OnDevice() { cudaFree(data); }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  void set(const T* from) {
    cudaMemcpyAsync(data, from, size * sizeof(T), cudaMemcpyHostToDevice, nullptr);
    cudaStreamSynchronize(nullptr);
  }
  std::vector<T> get() const {
    std::vector<T> to(size);
    cudaMemcpyAsync(to.data(), data, size * sizeof(T), cudaMemcpyDeviceToHost, nullptr);
    cudaStreamSynchronize(nullptr);
    return to;
  }
  T* data = nullptr;
  const std::size_t size;
};

/// All outputs, in device memory.
struct DeviceResult {
  OnDevice<float> image, envelope, decibels;
  OnDevice<std::uint8_t> grey;
  sonoray_output output{};
  explicit DeviceResult(const Result& like)
      : image(like.image.size()),
        envelope(like.envelope.size()),
        decibels(like.decibels.size()),
        grey(like.grey.size()) {
    output = like.output;
    output.image = image.data;
    output.envelope = envelope.data;
    output.decibels = decibels.data;
    output.grey = grey.data;
  }
  void rubbish() {
    const std::vector<float> ones(image.size, 1.0f);
    const std::vector<std::uint8_t> threes(grey.size, 3);
    image.set(ones.data());
    grey.set(threes.data());
  }
};

double apart(const std::vector<float>& a, const std::vector<float>& b) {
  double most = 0.0, largest = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    most = std::fmax(most, std::fabs(a[i] - b[i]));
    largest = std::fmax(largest, std::fabs(b[i]));
  }
  return a.size() == b.size() && largest > 0 ? most / largest : 1e9;
}

/// The same frame on the CPU, after a map of one speed where one is given.
std::unique_ptr<Result> by_cpu(Scene& scene, const std::vector<char>& frame, float speed = 0.0f) {
  const auto device = scene.config.device;
  scene.config.device = SONORAY_CPU;
  const Handle h(scene.config);
  scene.config.device = device;
  if (speed > 0) {
    const std::vector<float> map(Scene::map_x * Scene::map_z, speed);
    CHECK(sonoray_pipeline_set_map(h.p, map.data(), static_cast<std::int64_t>(map.size())) == SONORAY_OK);
  }
  auto r = std::make_unique<Result>(h.p);
  CHECK(sonoray_pipeline_process(h.p, frame.data(), frame.size(), &r->output) == SONORAY_OK);
  return r;
}

void require_same(const Result& found, const Result& truth) {
  CHECK(found.image == truth.image);  // the same sum
  CHECK(apart(found.envelope, truth.envelope) < 1e-6 && apart(found.decibels, truth.decibels) < 1e-5);
  int most = 0;
  for (std::size_t i = 0; i < truth.grey.size(); ++i) most = std::max(most, std::abs(found.grey[i] - truth.grey[i]));
  CHECK(most <= 1);
}

void test_images_are_the_hosts() {
  for (const bool iq : {false, true})
    for (const int how : {0, 1, 2}) {  // an image, a sector on a display, incoherent compounding
      Scene scene(iq);
      std::unique_ptr<Sector> sector;
      if (how == 1) sector = std::make_unique<Sector>(scene);
      if (how == 2) scene.config.compounding = SONORAY_INCOHERENT;
      on_device(scene);
      const auto frame = scene.frame();
      const Handle h(scene.config);
      CHECK(h.prepared == SONORAY_OK && h.error().empty());
      Result r(h.p);
      CHECK(sonoray_pipeline_process(h.p, frame.data(), frame.size(), &r.output) == SONORAY_OK);
      require_same(r, *by_cpu(scene, frame));
      CHECK(sonoray_pipeline_wait(h.p) == SONORAY_OK);
    }
}

/// With a frame and outputs in device memory a call only queues: nothing is allocated, nothing waited for.
void test_device_buffers_are_queued() {
  Scene scene;
  on_device(scene);
  const auto frame = scene.frame();
  cudaStream_t stream = nullptr;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  scene.config.stream = stream;
  {
    const Handle h(scene.config);
    Result r(h.p);
    DeviceResult d(r);
    d.rubbish();
    OnDevice<char> samples(frame.size());
    samples.set(frame.data());
    const long allocated = fake::allocations(), waited = fake::synchronisations();
    CHECK(sonoray_pipeline_process(h.p, samples.data, frame.size(), &d.output) == SONORAY_OK);
    CHECK(fake::allocations() == allocated && fake::synchronisations() == waited);
    CHECK(d.image.get()[0] == 1.0f && d.grey.get()[0] == 3);  // the default stream's copy ran, the work did not yet
    CHECK(sonoray_pipeline_wait(h.p) == SONORAY_OK);
    r.image = d.image.get();
    r.envelope = d.envelope.get();
    r.decibels = d.decibels.get();
    r.grey = d.grey.get();
    scene.config.stream = nullptr;
    const auto truth = by_cpu(scene, frame);
    require_same(r, *truth);
    d.rubbish();
    auto reused = frame;  // a frame of the host has been read when the call returns
    CHECK(sonoray_pipeline_process(h.p, reused.data(), reused.size(), &d.output) == SONORAY_OK);
    std::fill(reused.begin(), reused.end(), 1);
    CHECK(sonoray_pipeline_wait(h.p) == SONORAY_OK && d.image.get() == truth->image);
    cudaStreamDestroy(stream);  // the handle may outlive it
  }
}

void test_not_a_number() {
  Scene scene(true);
  on_device(scene);
  const auto good = scene.frame();
  auto bad = good;
  const float nan = NAN;
  std::memcpy(bad.data() + 8 * 90, &nan, 4);
  const Handle h(scene.config);
  Result r(h.p);
  DeviceResult d(r);
  d.rubbish();
  r.grey[0] = 123;
  CHECK(sonoray_pipeline_process(h.p, bad.data(), bad.size(), &r.output) == SONORAY_DATA && r.grey[0] == 123);
  CHECK(sonoray_pipeline_wait(h.p) == SONORAY_OK);  // that one was told
  CHECK(sonoray_pipeline_process(h.p, bad.data(), bad.size(), &d.output) == SONORAY_OK);
  CHECK(sonoray_pipeline_wait(h.p) == SONORAY_DATA && contains(h.error(), "NaN"));
  CHECK(d.image.get()[5] == 1.0f && d.grey.get()[5] == 3);
  CHECK(sonoray_pipeline_wait(h.p) == SONORAY_OK);
  CHECK(sonoray_pipeline_process(h.p, good.data(), good.size(), &d.output) == SONORAY_OK);
  CHECK(sonoray_pipeline_wait(h.p) == SONORAY_OK && d.grey.get() == by_cpu(scene, good)->grey);
}

/// A frame that waits in the stream keeps the tables that it was queued with, though two maps come meanwhile.
void test_tables_are_swapped_behind_queued_frames() {
  Scene scene;
  on_device(scene);
  const auto frame = scene.frame();
  const Handle h(scene.config);
  Result r(h.p);
  DeviceResult first(r), second(r);
  OnDevice<char> samples(frame.size());
  samples.set(frame.data());
  const std::vector<float> slow(Scene::map_x * Scene::map_z, 1450.0f), fast(slow.size(), 1600.0f);
  OnDevice<float> slow_there(slow.size());
  slow_there.set(slow.data());
  const auto n = static_cast<std::int64_t>(slow.size());
  const long allocated = fake::allocations();
  CHECK(sonoray_pipeline_process(h.p, samples.data, frame.size(), &first.output) == SONORAY_OK);
  CHECK(sonoray_pipeline_set_map(h.p, slow.data(), n) == SONORAY_OK);
  CHECK(sonoray_pipeline_process(h.p, samples.data, frame.size(), &second.output) == SONORAY_OK);
  CHECK(sonoray_pipeline_set_map(h.p, fast.data(), n) == SONORAY_OK);
  CHECK(fake::allocations() == allocated);  // room was taken by `prepare`
  CHECK(first.image.get() == by_cpu(scene, frame)->image);
  CHECK(second.image.get() == by_cpu(scene, frame, 1450.0f)->image);
  CHECK(sonoray_pipeline_process(h.p, samples.data, frame.size(), &r.output) == SONORAY_OK);
  CHECK(r.image == by_cpu(scene, frame, 1600.0f)->image);
  CHECK(sonoray_pipeline_set_map(h.p, slow_there.data, n) == SONORAY_OK);  // a map may be the device's, too
  CHECK(sonoray_pipeline_process(h.p, samples.data, frame.size(), &r.output) == SONORAY_OK);
  CHECK(r.image == second.image.get());
}

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

/// Whatever call fails, the status says so, and a lost device ends all that the handle does until it is prepared again.
void test_any_call_may_fail() {
  Scene scene;
  on_device(scene);
  const auto frame = scene.frame();
  const std::vector<float> map(Scene::map_x * Scene::map_z, 1500.0f);
  for (const cudaError_t error : {cudaErrorInvalidValue, cudaErrorMemoryAllocation, cudaErrorIllegalAddress}) {
    bool failed = true;
    for (long calls = 0; failed; calls += 1 + calls / 16) {
      fake::fail(calls, error);
      const Handle h(scene.config);
      Result r(h.p);
      const auto process = [&] { return sonoray_pipeline_process(h.p, frame.data(), frame.size(), &r.output); };
      const auto set_map = [&] { return sonoray_pipeline_set_map(h.p, map.data(), std::int64_t(map.size())); };
      const sonoray_status expected = error == cudaErrorIllegalAddress ? SONORAY_DEVICE_LOST : SONORAY_DEVICE;
      const auto fits = [&](sonoray_status status) {
        return status == expected || (error == cudaErrorMemoryAllocation && status == SONORAY_MEMORY);
      };
      if (h.prepared != SONORAY_OK) {
        CHECK((fits(h.prepared) || (calls == 0 && h.prepared == SONORAY_DEVICE)) && !h.error().empty());
        CHECK(process() == SONORAY_STATE);
      } else {
        const sonoray_status status = process(), map_status = set_map();
        failed = status || map_status;
        CHECK(!status || fits(status));
        CHECK(!map_status || fits(map_status));
        if (failed && error == cudaErrorIllegalAddress) {
          CHECK(contains(h.error(), "a fake loss"));
          CHECK(process() == SONORAY_DEVICE_LOST && set_map() == SONORAY_DEVICE_LOST);
          fake::mend();
          CHECK(process() == SONORAY_DEVICE_LOST && contains(h.error(), "prepare anew"));
        }
      }
      fake::mend();
      if (calls % 8) continue;  // the handle is well again once it is prepared
      CHECK(sonoray_pipeline_prepare(h.p, &scene.config) == SONORAY_OK);
      Result again(h.p);
      CHECK(sonoray_pipeline_process(h.p, frame.data(), frame.size(), &again.output) == SONORAY_OK);
    }
  }
}

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

/// What a call wrote to managed memory is there when it returns.
void test_managed_memory_is_the_hosts() {
  Scene scene;
  on_device(scene);
  const auto frame = scene.frame();
  const Handle h(scene.config);
  Result r(h.p);
  for (const void* at : {static_cast<const void*>(frame.data()), static_cast<const void*>(r.image.data())})
    fake::manage(at);
  CHECK(sonoray_pipeline_process(h.p, frame.data(), frame.size(), &r.output) == SONORAY_OK);
  require_same(r, *by_cpu(scene, frame));
}

/// Whatever device is the caller's, all calls find the handle's current, those that free it too.
void test_another_device_is_current() {
  fake::devices(2);
  fake::only(1);
  {
    Scene scene;
    Ring::configured(scene, nullptr);
    scene.config.device_index = 1;
    const auto frame = scene.frame();
    const Handle h(scene.config);
    Result r(h.p);
    CHECK(sonoray_pipeline_process(h.p, frame.data(), frame.size(), &r.output) == SONORAY_OK);
    CHECK(sonoray_pipeline_start(h.p) == SONORAY_OK);
    CHECK(sonoray_pipeline_push(h.p, frame.data(), frame.size(), 0) == SONORAY_OK);
    CHECK(sonoray_pipeline_pop(h.p, -1.0, &r.output, nullptr) == SONORAY_OK);
    const std::vector<float> map(Scene::map_x * Scene::map_z, 1500.0f);
    CHECK(sonoray_pipeline_set_map(h.p, map.data(), static_cast<std::int64_t>(map.size())) == SONORAY_OK);
    CHECK(sonoray_pipeline_stop(h.p) == SONORAY_OK);
  }
  int current = -1;
  CHECK(cudaGetDevice(&current) == cudaSuccess && current == 0 && !fake::misused());
  fake::only(-1);
  fake::devices(1);
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

void test_what_is_refused() {
  Scene scene(true);
  on_device(scene);
  fake::devices(0);
  {
    const Handle h(scene.config);
    CHECK(h.prepared == SONORAY_DEVICE && contains(h.error(), "found no CUDA device"));
  }
  fake::devices(1);
  for (const cudaError_t error : {cudaErrorDevicesUnavailable, cudaErrorUnknown}) {
    fake::fail(0, error);
    const Handle h(scene.config);
    CHECK(h.prepared == SONORAY_DEVICE && contains(h.error(), "found no CUDA device"));
    fake::mend();
  }
  scene.config.device_index = 3;
  {
    const Handle h(scene.config);
    CHECK(h.prepared == SONORAY_DEVICE && contains(h.error(), "device_index: expected 0 to 0, got 3"));
  }
  scene.config.device_index = 0;
  const std::int64_t packed = 8 * Scene::n_samples;
  scene.config.stride[0] = packed * Scene::n_elements;
  scene.config.stride[1] = packed;
  scene.config.stride[2] = 8;
  CHECK(Handle(scene.config).prepared == SONORAY_OK);
  scene.config.stride[1] += 4;  // the host reads such pairs, a device does not
  scene.config.stride[0] += 4 * Scene::n_elements;
  const Handle h(scene.config);
  CHECK(h.prepared == SONORAY_ARGUMENT && contains(h.error(), "stride[1]: expected a multiple of 8 bytes"));
  scene.config.device = SONORAY_CPU;
  CHECK(Handle(scene.config).prepared == SONORAY_OK);
  scene.config.stream = &scene;
  CHECK(Handle(scene.config).prepared == SONORAY_ARGUMENT);
}

}  // namespace

int main() {
  test_images_are_the_hosts();
  test_device_buffers_are_queued();
  test_not_a_number();
  test_tables_are_swapped_behind_queued_frames();
  test_streaming();
  test_any_call_may_fail();
  test_a_loss_wakes_who_waits();
  test_failed_pops_make_room();
  test_failed_frames_say_why();
  test_pop_waits_for_its_own_frame();
  test_managed_memory_is_the_hosts();
  test_another_device_is_current();
  test_lost_while_streaming();
  test_what_is_refused();
  CHECK(fake::alive() == 0 && !fake::misused());
  return failures;
}
