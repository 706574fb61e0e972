// The C API on a device, with a fake of the CUDA runtime: where memory is, what waits for what, what is allocated, and
// what happens when the device goes. The kernels' formulas run on the host; what a GPU makes of them tests/capi asks,
// where there is one.
#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>

#include "check.h"
#include "device_scene.h"
#include "fake.h"

namespace {

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

/// What a call wrote to managed memory is there when it returns.
void test_managed_memory_is_the_hosts() {
  Scene scene;
  on_device(scene);
  const auto frame = scene.frame();
  const Handle h(scene.config);
  Result r(h.p);
  for (const void* at : {static_cast<const void*>(frame.data()), static_cast<const void*>(r.image.data())})
    fake::manage(at);
  sonoray_output alone = r.output;
  alone.envelope = alone.decibels = nullptr;
  alone.grey = nullptr;  // these would be waited for
  CHECK(sonoray_pipeline_process(h.p, frame.data(), frame.size(), &alone) == SONORAY_OK);
  CHECK(r.image == by_cpu(scene, frame)->image);
}

/// Whatever device is the caller's, all calls find the handle's current, those that free it too.
void test_another_device_is_current() {
  fake::devices(2);
  fake::only(1);
  {
    Scene scene;
    on_device(scene);
    scene.config.ring_frames = 2;
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
  test_any_call_may_fail();
  test_managed_memory_is_the_hosts();
  test_another_device_is_current();
  test_what_is_refused();
  CHECK(fake::alive() == 0 && !fake::misused());
  return failures;
}
