#pragma once
#include <complex>
#include <cstdint>
#include <optional>
#include <vector>

#include "imaging/doppler.h"

namespace sonoray::bindings {

template <class Place>
void bind_imaging(typename Place::Module& m) {
  using Complex = std::complex<float>;
  using Frames = typename Place::template Array<const Complex, 2>;
  using FramesOut = typename Place::template Array<Complex, 2>;
  using Matrix = typename Place::template Array<const float, 2>;
  using Values = typename Place::template Array<const Complex, 1>;
  using Plane = typename Place::template Array<float, 1>;
  m.def(
      "doppler_moments",
      [](Frames frames, std::optional<Matrix> analysis, std::optional<Matrix> synthesis, bool residual,
         std::vector<std::int32_t> lags, std::optional<FramesOut> lagged, std::optional<Plane> power,
         std::optional<Plane> pair_power, std::optional<FramesOut> filtered, int index, std::uintptr_t stream) {
        const auto x = Place::template view<const Complex, 2>(frames, "frames");
        const SlowTimeFilter filter{Place::template view<const float, 2>(analysis, "analysis"),
                                    Place::template view<const float, 2>(synthesis, "synthesis"), residual};
        DopplerMoments to;
        to.lags = {lags.data(), {static_cast<std::int64_t>(lags.size())}};
        to.lagged = Place::template view<Complex, 2>(lagged, "lagged");
        to.power = Place::template view<float, 1>(power, "power");
        to.pair_power = Place::template view<float, 1>(pair_power, "pair_power");
        to.filtered = Place::template view<Complex, 2>(filtered, "filtered");
        const typename Place::WithoutGil release;
        doppler_moments(Place::exec(index, stream), x, filter, to);
      },
      Place::arg("frames"), Place::arg("analysis").none(), Place::arg("synthesis").none(), Place::arg("residual"),
      Place::arg("lags"), Place::arg("lagged").none(), Place::arg("power").none(), Place::arg("pair_power").none(),
      Place::arg("filtered").none(), Place::arg("index"), Place::arg("stream"));
  m.def(
      "doppler_phase",
      [](Values values, float scale, Plane out, int index, std::uintptr_t stream) {
        const auto x = Place::template view<const Complex, 1>(values, "values");
        const auto to = Place::template view<float, 1>(out, "out");
        const typename Place::WithoutGil release;
        doppler_phase(Place::exec(index, stream), x, scale, to);
      },
      Place::arg("values"), Place::arg("scale"), Place::arg("out"), Place::arg("index"), Place::arg("stream"));
}

}  // namespace sonoray::bindings
