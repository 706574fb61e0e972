#include "inversion/matching.h"

#include <limits>
#include <vector>

#include "core/for_each.h"
#include "inversion/matching_checks.h"
#include "inversion/matching_kernel.h"
#include "inversion/picking_kernel.h"

namespace sonoray {
namespace {

struct Prepared {
  const double* u;
  double operator()(std::int64_t i) const { return u[i]; }
};

}  // namespace

template <>
void match_arrivals(const Cpu& exec, const MatchParams& p, const Strided& samples, View<const float, 2> templates,
                    View<const float, 2> taps, std::int64_t taps_lead, View<const std::int32_t, 2> which,
                    View<const double, 2> first, View<const double, 2> last, View<double, 2> at, View<float, 2> quality,
                    View<std::uint8_t, 2> status) {
  matching::check_matching(p, samples, templates, taps, taps_lead, which, first, last, at, quality, status);
  for (std::int64_t k = 0; k < which.size(); ++k)
    require(which.data[k] >= 0 && which.data[k] < templates.shape[0],
            "which: expected 0 to " + std::to_string(templates.shape[0] - 1));
  const std::int64_t n_rx = first.shape[1], n = samples.shape[2], total = first.size();
  constexpr std::int64_t batch = 16;  // traces that share one scratch
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
          for (std::int64_t i = 0; i < n; ++i) u[i] -= s.mean;
          const matching::Template w{templates.data + which.data[k] * templates.shape[1], templates.shape[1],
                                     p.oversampling, p.lead};
          const matching::Taps coarse{taps.data + which.data[k] * taps.shape[1], taps.shape[1], taps_lead};
          pick = matching::match_trace(Prepared{u.data()}, n, w, coarse, p, begin, end);
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
