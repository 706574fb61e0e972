#pragma once
// What must hold before traces are matched, the same on the host and on CUDA.
#include "inversion/matching.h"
#include "inversion/picking_checks.h"

namespace sonoray::matching {

inline void check_matching(const MatchParams& p, const Strided& s, View<const float, 2> templates,
                           View<const float, 2> taps, std::int64_t taps_lead, View<const std::int32_t, 2> which,
                           View<const double, 2> first, View<const double, 2> last, View<double, 2> at,
                           View<float, 2> quality, View<std::uint8_t, 2> status) {
  picking::check_samples(s, first.shape[0], first.shape[1]);
  const auto same = [&](const std::int64_t* shape) { return shape[0] == first.shape[0] && shape[1] == first.shape[1]; };
  require(same(which.shape) && same(last.shape) && same(at.shape) && same(quality.shape) && same(status.shape),
          "which, first, last, at, quality, status: expected one shape (n_tx, n_rx)");
  require(templates.shape[0] > 0 && templates.shape[1] > 8, "templates: expected shape (n_templates, n > 8)");
  require(taps.shape[0] == templates.shape[0] && taps.shape[1] > 0 && taps_lead >= 0 && taps_lead < taps.shape[1],
          "taps: expected shape (n_templates, n) and a lead inside it");
  const double n = double(s.shape[2]);
  for (const MatchWindow& g : {p.whole, p.onset})
    require(g.rise >= 0 && g.rise <= n && g.flat >= 0 && g.flat <= n && g.fall >= 0 && g.fall <= n,
            "window: expected lengths from 0 samples to the whole record");
  require(p.oversampling >= 1 && p.oversampling <= 1024 && p.lead >= 0 && p.lead <= 1e7,
          "oversampling, lead: expected 1 to 1024 and a positive number");
  require(p.earliest > 0 && p.earliest <= 1 && p.reach >= 0 && p.minimum_correlation >= 0 && p.minimum_correlation < 1,
          "earliest, reach, minimum_correlation: expected parts of one and a positive reach");
}

}  // namespace sonoray::matching
