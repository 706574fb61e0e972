#include "capi/place.h"

#include <cstring>

#include "beamforming/das_plan.h"

namespace sonoray::capi {
namespace {

struct HostPicture : Picture {
  std::vector<char> samples;
  std::vector<float> image, envelope, decibels;
  std::vector<std::uint8_t> grey;
  bool finite = true;
};

class HostPlace : public Place {
 public:
  HostPlace(const Cpu& exec, const Settings& settings)
      : exec_(exec), settings_(settings), display_(exec, display_problem(settings)) {}

  std::unique_ptr<Picture> picture(bool ring) override {
    auto made = std::make_unique<HostPicture>();
    const auto n = static_cast<std::size_t>(settings_.n_points());
    if (ring) made->samples.resize(settings_.frame_bytes);
    made->image.resize(n * (settings_.complex_image() ? 2 : 1));
    made->envelope.resize(n);
    made->decibels.resize(n);
    made->grey.resize(settings_.n_grey());
    return made;
  }

  void set_tables(int set, const DasProblem& problem) override {
    plans_[set] = std::make_unique<DasPlan>(exec_, problem, settings_.samples);
  }

  void keep(const void* frame, Picture& to) override {
    auto& samples = static_cast<HostPicture&>(to).samples;
    std::memcpy(samples.data(), frame, samples.size());
  }

  void image(int set, const void* frame, Picture& to) override {
    auto& p = static_cast<HostPicture&>(to);
    (*plans_[set])(frame ? frame : p.samples.data(), p.image.data());
    p.finite = display_(p.image.data(), p.envelope.data(), p.decibels.data(), p.grey.data());
    p.reference = display_.reference();
  }

  sonoray_status wait(Picture& p) override { return static_cast<HostPicture&>(p).finite ? SONORAY_OK : SONORAY_DATA; }

  sonoray_status copy(Picture& picture, const sonoray_output& to) override {
    const auto& from = static_cast<HostPicture&>(picture);
    if (!from.finite) return SONORAY_DATA;
    if (to.image) std::memcpy(to.image, from.image.data(), to.image_bytes);
    if (to.envelope) std::memcpy(to.envelope, from.envelope.data(), to.envelope_bytes);
    if (to.decibels) std::memcpy(to.decibels, from.decibels.data(), to.decibels_bytes);
    if (to.grey) std::memcpy(to.grey, from.grey.data(), to.grey_bytes);
    return SONORAY_OK;
  }

  void check_memory(const char*, const void*) const override {}
  const void* read(const void* from, std::size_t, std::vector<char>&) override { return from; }
  void write(void* to, const void* from, std::size_t bytes) override { std::memcpy(to, from, bytes); }

 private:
  Cpu exec_;
  const Settings& settings_;
  DisplayPlan display_;
  std::unique_ptr<DasPlan> plans_[2];
};

}  // namespace

std::unique_ptr<Place> make_host_place(const Cpu& exec, const Settings& settings) {
  return std::make_unique<HostPlace>(exec, settings);
}

DisplayProblem display_problem(const Settings& settings) {
  const sonoray_config& c = settings.config;
  DisplayProblem p;
  p.n_rows = settings.n_rows;
  p.n_columns = settings.n_columns;
  p.complex_values = settings.complex_image();
  p.detected = c.compounding == SONORAY_INCOHERENT;
  p.gain = depth_gain(settings.depths, c.attenuation,
                      c.center_frequency > 0 ? c.center_frequency : c.demodulation_frequency, c.surface, c.max_gain);
  p.dynamic_range = static_cast<float>(c.dynamic_range);
  p.reference = static_cast<float>(c.reference);
  p.scan = settings.scan ? &*settings.scan : nullptr;
  return p;
}

}  // namespace sonoray::capi
