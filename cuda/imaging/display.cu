// One thread per point. The largest value is found in three steps without atomics, so the same image gives the same
// reference each time; no step comes back to the host.
#include "core/for_each.cuh"
#include "imaging/display.cuh"

namespace sonoray {
namespace {

constexpr std::int64_t parts = 4096, groups = 64;

struct Detect {
  const float *image, *gain;
  std::int64_t n_columns;
  bool complex_values, detected;
  float* envelope;

  SONORAY_HD void operator()(std::int64_t i) const {
    envelope[i] = display_kernel::magnitude(image, envelope, i, complex_values, detected) * gain[i % n_columns];
  }
};

/// Of values i, i + n_parts, ...; infinity if one of them is not finite.
struct Largest {
  const float* values;
  std::int64_t n, n_parts;
  float* largest;

  SONORAY_HD void operator()(std::int64_t part) const {
    float most = 0.0f;
    for (std::int64_t i = part; i < n; i += n_parts) {
      const float value = values[i] <= 3.402823466e38f ? values[i] : INFINITY;  // NaN, too
      most = value > most ? value : most;
    }
    largest[part] = most;
  }
};

struct Judge {
  const float* largest;
  float reference;
  DisplayReport* report;

  SONORAY_HD void operator()(std::int64_t) const {
    float most = 0.0f;
    for (std::int64_t i = 0; i < groups; ++i) most = largest[i] > most ? largest[i] : most;
    const bool finite = most <= 3.402823466e38f;
    report->reference = reference > 0.0f ? reference : most;
    report->finite = finite;
    report->failed += !finite;
  }
};

struct Decibels {
  const float* envelope;
  const DisplayReport* report;
  float floor, span;
  float* decibels;
  std::uint8_t* grey;  // null: by `Convert`

  SONORAY_HD void operator()(std::int64_t i) const {
    if (!report->finite) return;
    const float value = display_kernel::decibels(envelope[i], report->reference, floor, span);
    decibels[i] = value;
    if (grey) grey[i] = display_kernel::grey(value, span);
  }
};

struct Convert {
  const float* decibels;
  const DisplayReport* report;
  const display_kernel::Place* places;
  std::int64_t n_columns;
  float span;
  std::uint8_t* grey;

  SONORAY_HD void operator()(std::int64_t i) const {
    if (!report->finite) return;
    const display_kernel::Place at = places[i];
    grey[i] = at.node < 0 ? 0 : display_kernel::grey(display_kernel::sample(decibels, n_columns, at), span);
  }
};

}  // namespace

DeviceDisplay::DeviceDisplay(const Cuda& exec, const DisplayProblem& problem)
    : exec_(exec), problem_(problem), largest_(parts + groups) {
  if (!problem.complex_values && !problem.detected)
    analytic_ = std::make_unique<DeviceEnvelope>(exec, problem.n_rows, problem.n_columns);
  std::vector<display_kernel::Place> places;
  const Settle settle(stream_of(exec));
  gain_.fill(problem.gain.data(), problem.n_columns, stream_of(exec));
  if (problem.scan) {
    places = scan_places(Cpu{1}, problem);
    n_places_ = static_cast<std::int64_t>(places.size());
    places_.fill(places.data(), n_places_, stream_of(exec));
  }
  check(cudaStreamSynchronize(stream_of(exec)), "copy to device");
  problem_.scan = nullptr;
}

void DeviceDisplay::operator()(const float* image, float* envelope, float* decibels, std::uint8_t* grey,
                               DisplayReport* report) {
  const std::int64_t n = problem_.n_rows * problem_.n_columns;
  const float span = problem_.dynamic_range;
  float* const largest = largest_.data();
  if (analytic_) (*analytic_)(image, envelope);
  for_each(exec_, n,
           Detect{image, gain_.data(), problem_.n_columns, problem_.complex_values, problem_.detected, envelope});
  for_each(exec_, parts, Largest{envelope, n, parts, largest});
  for_each(exec_, groups, Largest{largest, parts, groups, largest + parts});
  for_each(exec_, 1, Judge{largest + parts, problem_.reference, report});
  for_each(exec_, n, Decibels{envelope, report, display_floor(span), span, decibels, n_places_ ? nullptr : grey});
  if (n_places_) for_each(exec_, n_places_, Convert{decibels, report, places_.data(), problem_.n_columns, span, grey});
}

}  // namespace sonoray
