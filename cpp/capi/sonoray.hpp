// sonoray.h for C++17: handles that destroy themselves, failures as exceptions. Header only; nothing of it is ABI.
#ifndef SONORAY_HPP
#define SONORAY_HPP

#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "sonoray.h"

namespace sonoray::embed {

/// A call that did not return SONORAY_OK, with the handle's text.
class Error : public std::runtime_error {
 public:
  Error(sonoray_status s, const std::string& text) : std::runtime_error(text), status(s) {}
  const sonoray_status status;
};

/// A configuration with the defaults in place.
inline sonoray_config default_config() {
  sonoray_config c;
  if (sonoray_config_init(&c, sizeof c, sizeof(sonoray_transmit)) != SONORAY_OK)
    throw Error(SONORAY_ARGUMENT, "sonoray.h and libsonoray.so are of different versions");
  return c;
}

/// A plane wave along the unit vector (sin a, 0, cos a), through the coordinate origin at time zero.
inline sonoray_transmit plane_wave(double sine, double cosine) {
  sonoray_transmit t{};
  t.kind = SONORAY_PLANE;
  t.direction[0] = sine;
  t.direction[2] = cosine;
  return t;
}

/// Memory for what a frame becomes; only what was asked for has any.
struct Frame {
  std::vector<float> image, envelope, decibels;
  std::vector<std::uint8_t> grey;

  sonoray_output output() {
    sonoray_output o{};
    o.size = sizeof o;
    o.image = image.empty() ? nullptr : image.data();
    o.image_bytes = image.size() * sizeof(float);
    o.envelope = envelope.empty() ? nullptr : envelope.data();
    o.envelope_bytes = envelope.size() * sizeof(float);
    o.decibels = decibels.empty() ? nullptr : decibels.data();
    o.decibels_bytes = decibels.size() * sizeof(float);
    o.grey = grey.empty() ? nullptr : grey.data();
    o.grey_bytes = grey.size();
    return o;
  }
};

/// A prepared pipeline. Threads: as sonoray.h says.
class Pipeline {
 public:
  explicit Pipeline(const sonoray_config& config) {
    sonoray_pipeline* made = nullptr;
    if (sonoray_pipeline_create(&made) != SONORAY_OK) throw std::bad_alloc();
    handle_.reset(made);
    check(sonoray_pipeline_prepare(made, &config));
    check(sonoray_pipeline_sizes(made, &frame_bytes_, &image_bytes_, &envelope_bytes_, &grey_bytes_));
  }

  std::size_t frame_bytes() const { return frame_bytes_; }

  /// Memory for outputs: all, or grey levels only.
  Frame frame(bool all = false) const {
    Frame f;
    f.grey.resize(grey_bytes_);
    if (!all) return f;
    f.image.resize(image_bytes_ / sizeof(float));
    f.envelope.resize(envelope_bytes_ / sizeof(float));
    f.decibels.resize(envelope_bytes_ / sizeof(float));
    return f;
  }

  void process(const void* samples, std::size_t bytes, Frame& to) {
    const sonoray_output output = to.output();
    check(sonoray_pipeline_process(get(), samples, bytes, &output));
  }

  /// For what `process` queued on a device.
  void wait() { check(sonoray_pipeline_wait(get())); }

  void set_map(const std::vector<float>& sound_speed) {
    check(sonoray_pipeline_set_map(get(), sound_speed.data(), static_cast<std::int64_t>(sound_speed.size())));
  }

  void estimate_map(const void* samples, std::size_t bytes) {
    check(sonoray_pipeline_estimate_map(get(), samples, bytes, nullptr, 0));
  }

  void start() { check(sonoray_pipeline_start(get())); }
  void stop() { check(sonoray_pipeline_stop(get())); }
  void cancel() { check(sonoray_pipeline_cancel(get())); }

  /// False if the ring is full and configured to refuse, or the stream was cancelled.
  bool push(const void* samples, std::size_t bytes, std::uint64_t number) {
    const sonoray_status status = sonoray_pipeline_push(get(), samples, bytes, number);
    if (status == SONORAY_FULL || status == SONORAY_CANCELLED) return false;
    check(status);
    return true;
  }

  /// Nothing if no frame came in `timeout` seconds (negative: for ever) or the stream was cancelled.
  std::optional<sonoray_frame_info> pop(Frame& to, double timeout) {
    sonoray_frame_info info{};
    info.size = sizeof info;
    const sonoray_output output = to.output();
    const sonoray_status status = sonoray_pipeline_pop(get(), timeout, &output, &info);
    if (status == SONORAY_TIMEOUT || status == SONORAY_CANCELLED) return std::nullopt;
    check(status);
    return info;
  }

  sonoray_statistics statistics() {
    sonoray_statistics s{};
    s.size = sizeof s;
    check(sonoray_pipeline_statistics(get(), &s));
    return s;
  }

  sonoray_pipeline* get() const { return handle_.get(); }

 private:
  struct Destroy {
    void operator()(sonoray_pipeline* p) const { sonoray_pipeline_destroy(p); }
  };

  void check(sonoray_status status) const {
    if (status == SONORAY_OK) return;
    char text[512];
    sonoray_pipeline_last_error(get(), text, sizeof text);
    throw Error(status, text);
  }

  std::unique_ptr<sonoray_pipeline, Destroy> handle_;
  std::size_t frame_bytes_ = 0, image_bytes_ = 0, envelope_bytes_ = 0, grey_bytes_ = 0;
};

}  // namespace sonoray::embed

#endif
