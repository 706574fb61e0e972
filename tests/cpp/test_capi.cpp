// The C API, one call at a time: defaults, images, refusals with their texts, maps, tables, networks.
#include <algorithm>
#include <cmath>
#include <limits>

#include "capi/sonoray.h"
#include "capi_scene.h"
#include "check.h"

namespace {

bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

/// What `change` makes of a good configuration: the status of `prepare` and a part of its text.
template <class Change>
bool refused(const Change& change, const char* part, sonoray_status status = SONORAY_ARGUMENT) {
  Scene scene;
  change(scene);
  const Handle h(scene.config);
  const bool ok = h.prepared == status && contains(h.error(), part);
  if (!ok) std::printf("  got %d: %s\n", h.prepared, h.error().c_str());
  return ok;
}

void test_point_is_where_it_is() {
  for (const bool iq : {false, true}) {
    const Scene scene(iq);
    const Handle h(scene.config);
    CHECK(h.prepared == SONORAY_OK && h.error().empty());
    Result r(h.p);
    const auto frame = scene.frame();
    CHECK(sonoray_pipeline_process(h.p, frame.data(), frame.size(), &r.output) == SONORAY_OK);
    const auto at = std::max_element(r.envelope.begin(), r.envelope.end()) - r.envelope.begin();
    CHECK(std::fabs(-2.3e-3 + 2e-4 * static_cast<double>(at / Scene::n_z)) < 1.5e-4);
    CHECK(std::fabs(4e-3 + 5e-5 * static_cast<double>(at % Scene::n_z) - 5e-3) < 7e-5);
    CHECK(*std::max_element(r.decibels.begin(), r.decibels.end()) == 0.0f);
    CHECK(*std::min_element(r.decibels.begin(), r.decibels.end()) >= -60.0f);
    CHECK(r.grey[at] == 255);
  }
}

void test_only_wanted_outputs_are_written() {
  const Scene scene;
  const Handle h(scene.config);
  Result r(h.p);
  r.output.image = nullptr;
  r.output.envelope = r.output.decibels = nullptr;
  const auto frame = scene.frame();
  CHECK(sonoray_pipeline_process(h.p, frame.data(), frame.size(), &r.output) == SONORAY_OK);
  CHECK(*std::max_element(r.grey.begin(), r.grey.end()) == 255 && r.image[0] == 0.0f && r.decibels[0] == 0.0f);
}

void test_configurations_are_refused_by_name() {
  CHECK(refused([](Scene& s) { s.config.sampling_frequency = 20; },
                "sampling_frequency: expected 10000 to 1e+09 Hz, got 20"));
  CHECK(refused([](Scene& s) { s.config.sound_speed = NAN; }, "sound_speed: expected"));
  CHECK(refused([](Scene& s) { s.config.n_elements = 0; }, "n_elements: expected"));
  CHECK(refused([](Scene& s) { s.config.elements = nullptr; }, "elements: expected an array, got NULL"));
  CHECK(refused([](Scene& s) { s.elements[4] = 30.0f; }, "elements[4]: expected -4 to 4 m, got 30"));
  CHECK(refused([](Scene& s) { s.transmits[1].kind = 9; }, "transmits[1].kind"));
  CHECK(refused([](Scene& s) { s.transmits[2].direction[2] = 2; }, "transmits[2].direction: length"));
  CHECK(refused([](Scene& s) { s.config.n_samples = std::int64_t(1) << 40; }, "n_samples: expected"));
  CHECK(refused([](Scene& s) { s.config.sample_type = SONORAY_INT16_PAIR; }, "demodulation_frequency"));
  CHECK(refused([](Scene& s) { s.config.grid.kind = SONORAY_GRID_NONE; }, "grid.kind"));
  CHECK(refused([](Scene& s) { s.config.grid.spacing[1] = 0; }, "grid.spacing"));
  CHECK(refused([](Scene& s) { s.config.grid.shape[0] = 100001; }, "grid.shape"));
  CHECK(refused([](Scene& s) { s.config.map.spacing[0] = 1e-4; }, "map: "));
  CHECK(refused([](Scene& s) { s.config.f_number = 0; }, "window: expected SONORAY_BOXCAR"));
  CHECK(refused([](Scene& s) { s.config.stride[0] = 4; }, "stride"));
  CHECK(refused([](Scene& s) { s.config.ring_frames = 1; }, "ring_frames: expected 2 to 4096, got 1"));
  CHECK(refused([](Scene& s) { s.config.size = 8; }, "sonoray_config_init"));
  CHECK(refused([](Scene& s) { s.config.transmit_size += 8; }, "sonoray_config_init"));
  CHECK(refused([](Scene& s) { s.config.grid.reserved[2] = 5; }, "grid.reserved: expected 0, got 5"));
  CHECK(refused([](Scene& s) { s.config.display.reserved[0] = -1; }, "display.reserved"));
  CHECK(refused([](Scene& s) { s.config.device = 2; }, "device: expected"));
  CHECK(refused([](Scene& s) { s.config.stream = &s; }, "stream: expected NULL"));
  CHECK(refused([](Scene& s) { s.config.model = "/nowhere.onnx"; }, "model", SONORAY_UNSUPPORTED));
  const Scene scene;
  Handle h(scene.config);
  sonoray_config bad = scene.config;
  bad.n_transmits = 0;
  CHECK(sonoray_pipeline_prepare(h.p, &bad) == SONORAY_ARGUMENT);
  Result r(h.p);
  CHECK(sonoray_pipeline_process(h.p, nullptr, 0, &r.output) == SONORAY_STATE && contains(h.error(), "not prepared"));
  CHECK(sonoray_pipeline_prepare(h.p, &scene.config) == SONORAY_OK);  // and is good again
}

/// Neither a build without CUDA nor a machine without a device is an accident: each says what it is.
void test_no_device() {
  Scene scene;
  scene.config.device = SONORAY_CUDA;
  const Handle h(scene.config);
  if (h.prepared == SONORAY_OK) return;  // there is one
  const bool none = h.prepared == SONORAY_DEVICE && contains(h.error(), "found no CUDA device");
  CHECK(none || (h.prepared == SONORAY_UNSUPPORTED && contains(h.error(), "which this library was built without")));
  CHECK(std::string(sonoray_status_text(SONORAY_DEVICE_LOST)) == "device lost");
}

/// On the CPU there is nothing to wait for.
void test_wait() {
  const Scene scene(true);
  const Handle h(scene.config);
  Result r(h.p);
  CHECK(sonoray_pipeline_wait(h.p) == SONORAY_OK);
  auto frame = scene.frame();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(frame.data() + 8 * 90, &nan, 4);
  CHECK(sonoray_pipeline_process(h.p, frame.data(), frame.size(), &r.output) == SONORAY_DATA);
  CHECK(sonoray_pipeline_wait(h.p) == SONORAY_DATA);
  CHECK(sonoray_pipeline_wait(nullptr) == SONORAY_ARGUMENT);
}

void test_frames_and_outputs_are_refused() {
  const Scene scene;
  const Handle h(scene.config);
  Result r(h.p);
  const auto frame = scene.frame();
  const auto process = [&](const void* data, std::size_t bytes) {
    return sonoray_pipeline_process(h.p, data, bytes, &r.output);
  };
  CHECK(process(frame.data(), frame.size() - 2) == SONORAY_ARGUMENT && contains(h.error(), "frame: expected"));
  CHECK(process(frame.data(), frame.size() + 2) == SONORAY_ARGUMENT);
  CHECK(process(frame.data() + 1, frame.size()) == SONORAY_ARGUMENT && contains(h.error(), "aligned"));
  CHECK(process(nullptr, frame.size()) == SONORAY_ARGUMENT);
  r.output.grey_bytes -= 1;
  CHECK(process(frame.data(), frame.size()) == SONORAY_ARGUMENT && contains(h.error(), "output.grey"));
  CHECK(sonoray_pipeline_process(h.p, frame.data(), frame.size(), nullptr) == SONORAY_ARGUMENT);
  CHECK(sonoray_pipeline_process(nullptr, frame.data(), frame.size(), &r.output) == SONORAY_ARGUMENT);
  CHECK(sonoray_pipeline_push(h.p, frame.data(), frame.size(), 1) == SONORAY_STATE);
  CHECK(sonoray_pipeline_start(h.p) == SONORAY_STATE && contains(h.error(), "ring_frames"));
}

void test_not_a_number_in_a_frame() {
  const Scene scene(true);
  const Handle h(scene.config);
  Result r(h.p);
  auto frame = scene.frame();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(frame.data() + 8 * 90, &nan, 4);
  r.grey[0] = 123;
  CHECK(sonoray_pipeline_process(h.p, frame.data(), frame.size(), &r.output) == SONORAY_DATA);
  CHECK(r.grey[0] == 123);
  const auto good = scene.frame();
  CHECK(sonoray_pipeline_process(h.p, good.data(), good.size(), &r.output) == SONORAY_OK);
}

/// Elements on top of each other leave no wave between them: refused, in one speed and through a map.
void test_coincident_elements() {
  const std::vector<double> delays(Scene::n_elements, 0.0);
  const auto change = [&](Scene& s) {
    s.elements[3] = s.elements[0];
    s.transmits[0].kind = SONORAY_DELAYS;
    s.transmits[0].delays = delays.data();
  };
  CHECK(refused(change, "arrival times"));
  Scene scene;
  scene.elements[3] = scene.elements[0];
  const Handle h(scene.config);
  CHECK(h.prepared == SONORAY_OK);  // plane waves in one speed ask for no elements
  const std::vector<float> map(Scene::map_x * Scene::map_z, 1540.0f);
  CHECK(sonoray_pipeline_set_map(h.p, map.data(), static_cast<std::int64_t>(map.size())) == SONORAY_ARGUMENT &&
        contains(h.error(), "arrival times"));
  Result r(h.p);
  const auto frame = Scene().frame();
  CHECK(sonoray_pipeline_process(h.p, frame.data(), frame.size(), &r.output) == SONORAY_OK);  // with the old tables
}

void test_maps() {
  const Scene scene;
  const Handle h(scene.config);
  Result before(h.p), after(h.p);
  const auto frame = scene.frame();
  std::vector<float> map(Scene::map_x * Scene::map_z, 1540.0f);
  const auto set = [&](std::size_t n) {
    return sonoray_pipeline_set_map(h.p, map.data(), static_cast<std::int64_t>(n));
  };
  CHECK(sonoray_pipeline_process(h.p, frame.data(), frame.size(), &before.output) == SONORAY_OK);
  CHECK(set(map.size()) == SONORAY_OK);
  CHECK(sonoray_pipeline_process(h.p, frame.data(), frame.size(), &after.output) == SONORAY_OK);
  const float largest = *std::max_element(before.envelope.begin(), before.envelope.end());
  for (std::size_t i = 0; i < before.envelope.size(); ++i)  // the same medium: equal but for the eikonal's error
    CHECK(std::fabs(before.envelope[i] - after.envelope[i]) < 0.05f * largest);
  map[200] = NAN;  // a hole
  CHECK(set(map.size()) == SONORAY_ARGUMENT && contains(h.error(), "sound_speed[200]"));
  map[200] = 1.5f;  // in km/s
  CHECK(set(map.size()) == SONORAY_ARGUMENT);
  CHECK(set(map.size() - 1) == SONORAY_ARGUMENT && contains(h.error(), "values"));
  CHECK(sonoray_pipeline_set_map(h.p, nullptr, static_cast<std::int64_t>(map.size())) == SONORAY_ARGUMENT);
  Result same(h.p);
  CHECK(sonoray_pipeline_process(h.p, frame.data(), frame.size(), &same.output) == SONORAY_OK);
  CHECK(same.image == after.image);  // the tables stay as they were
  std::fill(map.begin(), map.end(), 1450.0f);
  CHECK(set(map.size()) == SONORAY_OK);
  CHECK(sonoray_pipeline_process(h.p, frame.data(), frame.size(), &same.output) == SONORAY_OK);
  const auto deepest = [](const Result& r) {
    return (std::max_element(r.envelope.begin(), r.envelope.end()) - r.envelope.begin()) % Scene::n_z;
  };
  CHECK(deepest(same) < deepest(after));  // slower medium: the point is nearer
}

void test_given_tables() {
  const Scene scene;
  const Handle h(scene.config);
  Result closed(h.p), given(h.p);
  const auto frame = scene.frame();
  CHECK(sonoray_pipeline_process(h.p, frame.data(), frame.size(), &closed.output) == SONORAY_OK);
  std::vector<float> times, slowness(Scene::n_elements * 4, static_cast<float>(1 / 1540.0));
  for (const sonoray_transmit& t : scene.transmits)
    for (int i = 0; i < Scene::n_x; ++i)
      for (int j = 0; j < Scene::n_z; ++j)
        times.push_back(
            static_cast<float>(((-2.3e-3 + 2e-4 * i) * t.direction[0] + (4e-3 + 5e-5 * j) * t.direction[2]) / 1540.0));
  sonoray_grid table = scene.config.map;
  table.shape[0] = table.shape[1] = 2;
  const auto n = static_cast<std::int64_t>(times.size());
  const auto set = [&](std::int64_t count, std::int64_t nodes) {
    return sonoray_pipeline_set_tables(h.p, times.data(), count, slowness.data(), nodes, &table);
  };
  CHECK(set(n, 4 * Scene::n_elements) == SONORAY_OK);
  CHECK(sonoray_pipeline_process(h.p, frame.data(), frame.size(), &given.output) == SONORAY_OK);
  for (std::size_t i = 0; i < given.grey.size(); ++i) CHECK(std::abs(given.grey[i] - closed.grey[i]) <= 1);
  CHECK(set(n - 1, 4 * Scene::n_elements) == SONORAY_ARGUMENT);
  CHECK(set(n, 3) == SONORAY_ARGUMENT && contains(h.error(), "slowness"));
  times[3] = 4e-6f * 1e6f;  // in microseconds
  CHECK(set(n, 4 * Scene::n_elements) == SONORAY_ARGUMENT && contains(h.error(), "times"));
}

struct Network {
  float speed = 1500.0f;
  std::int32_t code = 0;
  bool shapes = false;
};

std::int32_t run_network(void* user, const float* input, const std::int64_t* in, std::int32_t in_axes, float* output,
                         const std::int64_t* out, std::int32_t out_axes) {
  auto& network = *static_cast<Network*>(user);
  network.shapes = in_axes == 5 && in[0] == 1 && in[1] == 3 && in[2] == 16 && in[3] == Scene::n_samples && in[4] == 2 &&
                   out_axes == 3 && out[0] == 1 && out[1] == Scene::map_x && out[2] == Scene::map_z;
  std::fill_n(output, Scene::map_x * Scene::map_z, network.speed + 0.0f * input[0]);
  return network.code;
}

void test_network() {
  Scene scene(true);
  Network network;
  scene.config.network = run_network;
  scene.config.network_user = &network;
  const Handle h(scene.config);
  const auto frame = scene.frame();
  std::vector<float> map(Scene::map_x * Scene::map_z);
  const auto estimate = [&] {
    return sonoray_pipeline_estimate_map(h.p, frame.data(), frame.size(), map.data(),
                                         static_cast<std::int64_t>(map.size()));
  };
  CHECK(estimate() == SONORAY_OK && network.shapes && map[0] == 1500.0f);
  network.speed = 3000.0f;
  CHECK(estimate() == SONORAY_OK && map[0] == 1680.0f);  // clipped to map_limits
  network.speed = NAN;
  CHECK(estimate() == SONORAY_MODEL && contains(h.error(), "finite"));
  network.speed = 1500.0f;
  network.code = 7;
  CHECK(estimate() == SONORAY_MODEL && contains(h.error(), "got 7"));
  const Scene plain;
  const Handle none(plain.config);
  const auto rf = plain.frame();
  CHECK(sonoray_pipeline_estimate_map(none.p, rf.data(), rf.size(), nullptr, 0) == SONORAY_STATE);
}

void test_texts() {
  CHECK(std::string(sonoray_version()).size() >= 5);
  CHECK(std::string(sonoray_status_text(SONORAY_INTERNAL)) == "internal");
  CHECK(std::string(sonoray_status_text(99)) == "unknown" && std::string(sonoray_status_text(-1)) == "unknown");
  const Scene scene;
  const Handle h(scene.config);
  sonoray_pipeline_push(h.p, nullptr, 0, 0);
  char text[8];
  CHECK(sonoray_pipeline_last_error(h.p, text, sizeof text) > 8 && std::strlen(text) == 7);
  CHECK(sonoray_pipeline_last_error(h.p, nullptr, 0) > 8 && sonoray_pipeline_last_error(nullptr, text, 8) == 0);
  sonoray_pipeline_destroy(nullptr);
  sonoray_pipeline* empty = nullptr;
  CHECK(sonoray_pipeline_create(&empty) == SONORAY_OK);
  std::size_t bytes = 0;
  CHECK(sonoray_pipeline_sizes(empty, &bytes, nullptr, nullptr, nullptr) == SONORAY_STATE);
  CHECK(sonoray_pipeline_last_error(empty, nullptr, 0) > 0);
  sonoray_pipeline_destroy(empty);
}

}  // namespace

int main() {
  test_point_is_where_it_is();
  test_only_wanted_outputs_are_written();
  test_configurations_are_refused_by_name();
  test_no_device();
  test_wait();
  test_frames_and_outputs_are_refused();
  test_not_a_number_in_a_frame();
  test_coincident_elements();
  test_maps();
  test_given_tables();
  test_network();
  test_texts();
  return failures;
}
