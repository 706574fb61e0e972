#pragma once
// A small probe, sequence and frame for tests of the C API.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "capi/sonoray.h"

/// A configuration and the arrays that it points to: a linear probe of 16 elements, three plane waves, RF.
struct Scene {
  static constexpr int n_elements = 16, n_samples = 400, n_x = 24, n_z = 40, map_x = 21, map_z = 31;

  std::vector<float> elements;
  std::vector<sonoray_transmit> transmits;
  std::vector<double> start;
  sonoray_config config;

  explicit Scene(bool iq = false) {
    sonoray_config_init(&config, sizeof config, sizeof(sonoray_transmit));
    for (int e = 0; e < n_elements; ++e)
      for (const float v : {(e - 7.5f) * 3e-4f, 0.0f, 0.0f}) elements.push_back(v);
    for (const double angle : {-0.1, 0.0, 0.1}) {
      sonoray_transmit t{};
      t.kind = SONORAY_PLANE;
      t.direction[0] = std::sin(angle);
      t.direction[2] = std::cos(angle);
      transmits.push_back(t);
    }
    start.assign(transmits.size(), 2e-6);
    config.threads = 3;
    config.n_elements = n_elements;
    config.elements = elements.data();
    config.n_transmits = static_cast<std::int64_t>(transmits.size());
    config.transmits = transmits.data();
    config.start_times = start.data();
    config.sample_type = iq ? SONORAY_FLOAT32_PAIR : SONORAY_INT16;
    config.n_samples = n_samples;
    config.sampling_frequency = 20e6;
    config.demodulation_frequency = iq ? 5e6 : 0.0;
    config.center_frequency = 5e6;
    config.f_number = 1.0;
    config.attenuation = 50.0;
    config.grid.kind = SONORAY_GRID_CARTESIAN;
    config.grid.n_axes = 2;
    config.grid.shape[0] = n_x;
    config.grid.shape[1] = n_z;
    config.grid.spacing[0] = 2e-4;
    config.grid.spacing[1] = 5e-5;
    config.grid.origin[0] = -2.3e-3;
    config.grid.origin[1] = 4e-3;
    config.map.kind = SONORAY_GRID_CARTESIAN;
    config.map.n_axes = 2;
    config.map.shape[0] = map_x;
    config.map.shape[1] = map_z;
    config.map.spacing[0] = config.map.spacing[1] = 3e-4;
    config.map.origin[0] = -3e-3;
    config.map.origin[1] = 0.0;
  }
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;

  /// Echoes of a point at (0, 5 mm), as int16 or float pairs.
  std::vector<char> frame(double amplitude = 1000.0) const {
    const bool iq = config.demodulation_frequency > 0;
    std::vector<char> bytes(transmits.size() * n_elements * n_samples * (iq ? 8 : 2));
    std::size_t k = 0;
    for (const sonoray_transmit& t : transmits)
      for (int e = 0; e < n_elements; ++e)
        for (int i = 0; i < n_samples; ++i, ++k) {
          const double arrival = (t.direction[2] * 5e-3 + std::hypot(elements[3 * e], 5e-3)) / 1540.0;
          const double time = start[0] + i / config.sampling_frequency - arrival, w = 2 * 3.14159265358979 * 5e6;
          const double envelope = amplitude * std::exp(-0.5 * time * time / (2e-7 * 2e-7));
          if (iq) {
            const float pair[] = {static_cast<float>(envelope * std::cos(w * arrival)),
                                  static_cast<float>(-envelope * std::sin(w * arrival))};
            std::memcpy(bytes.data() + 8 * k, pair, 8);
          } else {
            const auto value = static_cast<std::int16_t>(envelope * std::cos(w * time));
            std::memcpy(bytes.data() + 2 * k, &value, 2);
          }
        }
    return bytes;
  }
};

/// A prepared handle that destroys itself.
struct Handle {
  sonoray_pipeline* p = nullptr;
  sonoray_status prepared;
  explicit Handle(const sonoray_config& config) {
    sonoray_pipeline_create(&p);
    prepared = sonoray_pipeline_prepare(p, &config);
  }
  ~Handle() { sonoray_pipeline_destroy(p); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  std::string error() const {
    char text[512];
    sonoray_pipeline_last_error(p, text, sizeof text);
    return text;
  }
};

/// Memory for everything that a frame becomes.
struct Result {
  std::vector<float> image, envelope, decibels;
  std::vector<std::uint8_t> grey;
  sonoray_output output{};

  explicit Result(const sonoray_pipeline* p) {
    std::size_t image_bytes = 0, envelope_bytes = 0, grey_bytes = 0;
    sonoray_pipeline_sizes(p, nullptr, &image_bytes, &envelope_bytes, &grey_bytes);
    image.resize(image_bytes / 4);
    envelope.resize(envelope_bytes / 4);
    decibels.resize(envelope_bytes / 4);
    grey.resize(grey_bytes);
    output.size = sizeof output;
    output.image = image.data();
    output.image_bytes = image_bytes;
    output.envelope = envelope.data();
    output.decibels = decibels.data();
    output.envelope_bytes = output.decibels_bytes = envelope_bytes;
    output.grey = grey.data();
    output.grey_bytes = grey_bytes;
  }
};
