#pragma once
// Scenes on the fake device: its memory, and what the host makes of the same frames.
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "capi_scene.h"
#include "check.h"
#include "fake.h"

inline bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

inline void on_device(Scene& scene) { scene.config.device = SONORAY_CUDA; }

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

inline double apart(const std::vector<float>& a, const std::vector<float>& b) {
  double most = 0.0, largest = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    most = std::fmax(most, std::fabs(a[i] - b[i]));
    largest = std::fmax(largest, std::fabs(b[i]));
  }
  return a.size() == b.size() && largest > 0 ? most / largest : 1e9;
}

/// The same frame on the CPU, after a map of one speed where one is given.
inline std::unique_ptr<Result> by_cpu(Scene& scene, const std::vector<char>& frame, float speed = 0.0f) {
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

inline void require_same(const Result& found, const Result& truth) {
  CHECK(found.image == truth.image);  // the same sum
  CHECK(apart(found.envelope, truth.envelope) < 1e-6 && apart(found.decibels, truth.decibels) < 1e-5);
  int most = 0;
  for (std::size_t i = 0; i < truth.grey.size(); ++i) most = std::max(most, std::abs(found.grey[i] - truth.grey[i]));
  CHECK(most <= 1);
}
