#include <cmath>

#include "core/for_each.cuh"
#include "inversion/picking.h"
#include "inversion/picking_checks.h"
#include "inversion/picking_kernel.h"

// One thread per trace; samples are prepared on the fly, so that no scratch is needed.

namespace sonoray {
namespace {

struct Prepared {
  picking::RawTrace raw;
  double mean, part;
  std::int64_t n;
  SONORAY_HD double operator()(std::int64_t i) const { return (raw(i) - mean) * picking::taper(i, n, part); }
};

struct PickOne {
  PickParams p;
  Strided samples;
  View<const double, 2> first, last;
  View<double, 2> at;
  View<float, 2> quality;
  View<std::uint8_t, 2> status;

  __device__ void operator()(std::int64_t k) const {
    const std::int64_t n_rx = first.shape[1], n = samples.shape[2];
    const double begin = first.data[k], end = last.data[k];
    Pick pick{0, 0, PickStatus::skipped};
    if (begin == begin && end == end) {
      const picking::RawTrace raw = picking::raw_trace(samples, k / n_rx, k % n_rx);
      const picking::Summary s = picking::summarise(raw, n);
      pick.status = PickStatus::dead;
      if (!s.dead)
        pick = picking::pick_trace(Prepared{raw, s.mean, p.taper, n}, n, p, begin, end, s.largest,
                                   raw.integer ? 1.0 : 0.0);
    }
    const bool ok = pick.status == PickStatus::picked;
    at.data[k] = ok ? pick.at : nan("");
    quality.data[k] = ok ? float(pick.quality) : 0.0f;
    status.data[k] = std::uint8_t(pick.status);
  }
};

}  // namespace

template <>
void pick_arrivals(const Cuda& exec, const PickParams& p, const Strided& samples, View<const double, 2> first,
                   View<const double, 2> last, View<double, 2> at, View<float, 2> quality,
                   View<std::uint8_t, 2> status) {
  picking::check_picking(p, samples, first, last, at, quality, status);
  for_each(exec, first.size(), PickOne{p, samples, first, last, at, quality, status});
}

}  // namespace sonoray
