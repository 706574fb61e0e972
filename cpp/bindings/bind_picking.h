#pragma once
#include <cstdint>
#include <vector>

#include "core/error.h"
#include "inversion/matching.h"
#include "inversion/picking.h"

namespace sonoray::bindings {

template <class Place>
void bind_picking(typename Place::Module& m) {
  using Any = typename Place::AnyArray;
  using Window = typename Place::template Array<const double, 2>;
  using Times = typename Place::template Array<double, 2>;
  using Quality = typename Place::template Array<float, 2>;
  using Status = typename Place::template Array<std::uint8_t, 2>;
  m.def(
      "pick_arrivals",
      [](const Any& samples, Window first, Window last, int method, bool analytic, bool parabolic, double silence,
         double taper, double threshold, double duration, double short_window, double long_window, double ratio,
         double minimum_contrast, Times at, Quality quality, Status status, int index, std::uintptr_t stream) {
        require(method >= 0 && method <= 3, "method: expected 0 to 3");
        const PickParams p{static_cast<PickMethod>(method),
                           analytic,
                           parabolic,
                           silence,
                           taper,
                           threshold,
                           duration,
                           short_window,
                           long_window,
                           ratio,
                           minimum_contrast};
        const Strided s = Place::strided(samples, "samples");
        const auto v0 = Place::template view<const double, 2>(first, "first");
        const auto v1 = Place::template view<const double, 2>(last, "last");
        const auto v2 = Place::template view<double, 2>(at, "at");
        const auto v3 = Place::template view<float, 2>(quality, "quality");
        const auto v4 = Place::template view<std::uint8_t, 2>(status, "status");
        const typename Place::WithoutGil release;
        pick_arrivals(Place::exec(index, stream), p, s, v0, v1, v2, v3, v4);
      },
      Place::arg("samples"), Place::arg("first"), Place::arg("last"), Place::arg("method"), Place::arg("analytic"),
      Place::arg("parabolic"), Place::arg("silence"), Place::arg("taper"), Place::arg("threshold"),
      Place::arg("duration"), Place::arg("short_window"), Place::arg("long_window"), Place::arg("ratio"),
      Place::arg("minimum_contrast"), Place::arg("at"), Place::arg("quality"), Place::arg("status"),
      Place::arg("index"), Place::arg("stream"));
  using Templates = typename Place::template Array<const float, 2>;
  using Which = typename Place::template Array<const std::int32_t, 2>;
  m.def(
      "match_arrivals",
      [](const Any& samples, Templates templates, Templates taps, std::int64_t taps_lead, Which which, Window first,
         Window last, std::vector<double> whole, std::vector<double> onset, double oversampling, double lead,
         double earliest, double reach, double minimum_correlation, Times at, Quality quality, Status status, int index,
         std::uintptr_t stream) {
        require(whole.size() == 3 && onset.size() == 3, "whole, onset: expected three lengths each");
        const MatchParams p{{whole[0], whole[1], whole[2]},
                            {onset[0], onset[1], onset[2]},
                            oversampling,
                            lead,
                            earliest,
                            reach,
                            minimum_correlation};
        const Strided s = Place::strided(samples, "samples");
        const auto w = Place::template view<const float, 2>(templates, "templates");
        const auto c = Place::template view<const float, 2>(taps, "taps");
        const auto v = Place::template view<const std::int32_t, 2>(which, "which");
        const auto v0 = Place::template view<const double, 2>(first, "first");
        const auto v1 = Place::template view<const double, 2>(last, "last");
        const auto v2 = Place::template view<double, 2>(at, "at");
        const auto v3 = Place::template view<float, 2>(quality, "quality");
        const auto v4 = Place::template view<std::uint8_t, 2>(status, "status");
        const typename Place::WithoutGil release;
        match_arrivals(Place::exec(index, stream), p, s, w, c, taps_lead, v, v0, v1, v2, v3, v4);
      },
      Place::arg("samples"), Place::arg("templates"), Place::arg("taps"), Place::arg("taps_lead"), Place::arg("which"),
      Place::arg("first"), Place::arg("last"), Place::arg("whole"), Place::arg("onset"), Place::arg("oversampling"),
      Place::arg("lead"), Place::arg("earliest"), Place::arg("reach"), Place::arg("minimum_correlation"),
      Place::arg("at"), Place::arg("quality"), Place::arg("status"), Place::arg("index"), Place::arg("stream"));
}

}  // namespace sonoray::bindings
