// Configurations of any bytes: `prepare` accepts or refuses with a text, and whatever it accepts images a frame. For
// libFuzzer (clang, -DSONORAY_FUZZ=ON); with other compilers `main` below runs mutations of a good configuration.
#include <algorithm>
#include <cstdlib>
#include <random>

#include "capi/sonoray.h"
#include "capi_scene.h"

namespace {

/// Reads numbers off the input, zeros after its end.
class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  template <class T>
  T take() {
    T value{};
    const std::size_t n = std::min(sizeof value, size_ - at_);
    if (n) std::memcpy(&value, data_ + at_, n);
    at_ += n;
    return value;
  }
  bool empty() const { return at_ >= size_; }

 private:
  const std::uint8_t* data_;
  std::size_t size_, at_ = 0;
};

/// Overwrites parts of the configuration, but for pointers and what says how much memory is behind them.
void mutate(Scene& scene, Bytes& bytes) {
  sonoray_config& c = scene.config;
  struct Part {
    void* at;
    std::size_t size;
  };
  std::vector<Part> parts = {
      {&c.device, 8},
      {&c.sequence_sound_speed, 8},
      {&c.sample_type, 4},
      {&c.n_samples, 8},
      {&c.stride, 24},
      {&c.sampling_frequency, 8},
      {&c.demodulation_frequency, 8},
      {&c.center_frequency, 8},
      {&c.grid.kind, 8},
      {&c.grid.shape, 24},
      {&c.grid.spacing, 24},
      {&c.grid.origin, 24},
      {&c.sound_speed, 8},
      {&c.f_number, 8},
      {&c.window, 8},
      {&c.tukey_taper, 8},
      {&c.compounding, 4},
      {&c.element_width, 8},
      {&c.attenuation, 40},
      {&c.display.kind, 56},
      {&c.map.kind, 80},
      {&c.table_spacing, 8},
      {&c.map_limits, 16},
      {&c.ring_frames, 8},
      {scene.elements.data(), scene.elements.size() * 4},
      {scene.start.data(), scene.start.size() * 8},
  };
  for (sonoray_transmit& t : scene.transmits) parts.push_back({&t, offsetof(sonoray_transmit, delays)});
  while (!bytes.empty()) {
    const Part& part = parts[bytes.take<std::uint8_t>() % parts.size()];
    const std::size_t offset = bytes.take<std::uint16_t>() % part.size / 4 * 4;
    const std::size_t n = std::min<std::size_t>(bytes.take<std::uint8_t>() % 2 ? 8 : 4, part.size - offset);
    const auto value = bytes.take<std::uint64_t>();
    std::memcpy(static_cast<char*>(part.at) + offset, &value, n);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes bytes(data, size);
  Scene scene(bytes.take<std::uint8_t>() % 2);
  mutate(scene, bytes);
  sonoray_config& c = scene.config;
  // Large problems are legal, and slow: they are not what is looked for.
  const auto many = [](std::int64_t n, std::int64_t most) { return n < 0 || n > most; };
  for (const sonoray_grid* g : {&c.grid, &c.map, &c.display}) {
    for (const std::int64_t n : g->shape)
      if (n > 64) return 0;
  }
  if (many(c.n_samples, 4096) || many(c.stride[0], 1 << 20) || c.ring_frames > 16) return 0;
  if (c.table_spacing > 0 && c.table_spacing < 1e-4) c.table_spacing = 1e-4;
  c.threads = 1;
  const Handle h(c);
  if (h.prepared != SONORAY_OK) {
    if (h.error().empty() || h.prepared == SONORAY_INTERNAL) std::abort();
    return 0;
  }
  std::size_t frame_bytes = 0;
  sonoray_pipeline_sizes(h.p, &frame_bytes, nullptr, nullptr, nullptr);
  std::vector<char> frame(frame_bytes);
  const auto example = scene.frame();
  std::memcpy(frame.data(), example.data(), std::min(frame.size(), example.size()));
  Result r(h.p);
  const sonoray_status status = sonoray_pipeline_process(h.p, frame.data(), frame.size(), &r.output);
  if (status != SONORAY_OK && status != SONORAY_DATA) std::abort();
  if (c.map.kind == SONORAY_GRID_CARTESIAN) {
    const std::int64_t n = c.map.shape[0] * c.map.shape[1] * (c.map.n_axes == 3 ? c.map.shape[2] : 1);
    const std::vector<float> map(n, 1500.0f);
    const sonoray_status set = sonoray_pipeline_set_map(h.p, map.data(), n);
    if (set != SONORAY_OK && set != SONORAY_ARGUMENT) std::abort();
  }
  return 0;
}

#if !defined(SONORAY_LIBFUZZER)
int main(int count, char** arguments) {
  const int runs = count > 1 ? std::atoi(arguments[1]) : 300;
  std::mt19937_64 random(count > 2 ? std::strtoull(arguments[2], nullptr, 10) : 1);
  const double values[] = {0.0, -0.0, 1e-300, 1e300, -1.0, 1.0, 2.0, 1e-3, 20e6, 1540.0, NAN, INFINITY};
  for (int i = 0; i < runs; ++i) {
    std::vector<std::uint8_t> input{static_cast<std::uint8_t>(random() % 2)};
    for (int k = random() % 4; k >= 0; --k) {  // a few changes: most configurations should get far
      for (int byte = 0; byte < 4; ++byte) input.push_back(static_cast<std::uint8_t>(random()));
      std::uint64_t value = random();
      if (random() % 2) std::memcpy(&value, &values[random() % 12], 8);
      if (random() % 4 == 0) value = random() % 64;
      for (int byte = 0; byte < 8; ++byte) input.push_back(static_cast<std::uint8_t>(value >> 8 * byte));
    }
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  return 0;
}
#endif
