#include <cmath>

#include "core/for_each.cuh"
#include "inversion/matching.h"
#include "inversion/matching_checks.h"
#include "inversion/matching_kernel.h"
#include "inversion/picking_kernel.h"

// One thread per trace. Template numbers lie in device memory, so each thread checks its own.

namespace sonoray {
namespace {

struct Prepared {
  picking::RawTrace raw;
  double mean;
  SONORAY_HD double operator()(std::int64_t i) const { return raw(i) - mean; }
};

struct MatchOne {
  MatchParams p;
  Strided samples;
  View<const float, 2> templates, taps;
  std::int64_t taps_lead;
  View<const std::int32_t, 2> which;
  View<const double, 2> first, last;
  View<double, 2> at;
  View<float, 2> quality;
  View<std::uint8_t, 2> status;

  __device__ void operator()(std::int64_t k) const {
    const std::int64_t n_rx = first.shape[1], n = samples.shape[2];
    const double begin = first.data[k], end = last.data[k];
    Pick pick{0, 0, PickStatus::skipped};
    if (begin == begin && end == end && which.data[k] >= 0 && which.data[k] < templates.shape[0]) {
      const picking::RawTrace raw = picking::raw_trace(samples, k / n_rx, k % n_rx);
      const picking::Summary s = picking::summarise(raw, n);
      pick.status = PickStatus::dead;
      const matching::Template w{templates.data + which.data[k] * templates.shape[1], templates.shape[1],
                                 p.oversampling, p.lead};
      const matching::Taps coarse{taps.data + which.data[k] * taps.shape[1], taps.shape[1], taps_lead};
      if (!s.dead) pick = matching::match_trace(Prepared{raw, s.mean}, n, w, coarse, p, begin, end);
    }
    const bool ok = pick.status == PickStatus::picked;
    at.data[k] = ok ? pick.at : nan("");
    quality.data[k] = ok ? float(pick.quality) : 0.0f;
    status.data[k] = std::uint8_t(pick.status);
  }
};

}  // namespace

template <>
void match_arrivals(const Cuda& exec, const MatchParams& p, const Strided& samples, View<const float, 2> templates,
                    View<const float, 2> taps, std::int64_t taps_lead, View<const std::int32_t, 2> which,
                    View<const double, 2> first, View<const double, 2> last, View<double, 2> at, View<float, 2> quality,
                    View<std::uint8_t, 2> status) {
  matching::check_matching(p, samples, templates, taps, taps_lead, which, first, last, at, quality, status);
  for_each(exec, first.size(),
           MatchOne{p, samples, templates, taps, taps_lead, which, first, last, at, quality, status});
}

}  // namespace sonoray
