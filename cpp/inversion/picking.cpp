#include "inversion/picking.h"

#include <limits>
#include <vector>

#include "core/for_each.h"
#include "inversion/picking_checks.h"
#include "inversion/picking_kernel.h"

namespace sonoray {
namespace {

/// A prepared trace in scratch memory.
struct Prepared {
  const double* u;
  double operator()(std::int64_t i) const { return u[i]; }
};

}  // namespace

template <>
void pick_arrivals(const Cpu& exec, const PickParams& p, const Strided& samples, View<const double, 2> first,
                   View<const double, 2> last, View<double, 2> at, View<float, 2> quality,
                   View<std::uint8_t, 2> status) {
  picking::check_picking(p, samples, first, last, at, quality, status);
  const std::int64_t n_rx = first.shape[1], n = samples.shape[2];
  std::vector<double> window(n);
  for (std::int64_t i = 0; i < n; ++i) window[i] = picking::taper(i, n, p.taper);
  constexpr std::int64_t batch = 16;  // traces that share one scratch
  const std::int64_t total = first.size();
  for_each(exec, (total + batch - 1) / batch, [&](std::int64_t b) {
    std::vector<double> u(n);
    for (std::int64_t k = b * batch; k < total && k < (b + 1) * batch; ++k) {
      Pick pick{0, 0, PickStatus::skipped};
      const double begin = first.data[k], end = last.data[k];
      if (begin == begin && end == end) {
        const picking::RawTrace raw = picking::raw_trace(samples, k / n_rx, k % n_rx);
        for (std::int64_t i = 0; i < n; ++i) u[i] = raw(i);
        const picking::Summary s = picking::summarise(Prepared{u.data()}, n);
        pick.status = PickStatus::dead;
        if (!s.dead) {
          for (std::int64_t i = 0; i < n; ++i) u[i] = (u[i] - s.mean) * window[i];
          pick = picking::pick_trace(Prepared{u.data()}, n, p, begin, end, s.largest, raw.integer ? 1.0 : 0.0);
        }
      }
      const bool ok = pick.status == PickStatus::picked;
      at.data[k] = ok ? pick.at : std::numeric_limits<double>::quiet_NaN();
      quality.data[k] = ok ? static_cast<float>(pick.quality) : 0.0f;
      status.data[k] = static_cast<std::uint8_t>(pick.status);
    }
  });
}

}  // namespace sonoray
