#pragma once
#include <cstdint>

#include "inversion/finite_frequency.h"

namespace sonoray::bindings {

template <class Place>
void bind_finite_frequency(typename Place::Module& m) {
  using Table = typename Place::template Array<const float, 2>;
  using Pairs = typename Place::template Array<const std::int32_t, 2>;
  using Values = typename Place::template Array<const float, 1>;
  using Result = typename Place::template Array<float, 1>;
  const auto bind = [&m](const char* name, auto apply) {
    m.def(
        name,
        [apply](Table tx_time, Table rx_time, Table tx_amplitude, Table rx_amplitude, Pairs pairs, Values pair_time,
                Values pair_scale, Values table, float step, Values from, Result to, int index, std::uintptr_t stream) {
          FresnelSetup s{Place::template view<const float, 2>(tx_time, "tx_time"),
                         Place::template view<const float, 2>(rx_time, "rx_time"),
                         Place::template view<const float, 2>(tx_amplitude, "tx_amplitude"),
                         Place::template view<const float, 2>(rx_amplitude, "rx_amplitude"),
                         Place::template view<const std::int32_t, 2>(pairs, "pairs"),
                         Place::template view<const float, 1>(pair_time, "pair_time"),
                         Place::template view<const float, 1>(pair_scale, "pair_scale"),
                         Place::template view<const float, 1>(table, "table"),
                         step};
          const auto x = Place::template view<const float, 1>(from, "values");
          const auto y = Place::template view<float, 1>(to, "out");
          const typename Place::WithoutGil release;
          apply(Place::exec(index, stream), s, x, y);
        },
        Place::arg("tx_time"), Place::arg("rx_time"), Place::arg("tx_amplitude"), Place::arg("rx_amplitude"),
        Place::arg("pairs"), Place::arg("pair_time"), Place::arg("pair_scale"), Place::arg("table"), Place::arg("step"),
        Place::arg("values"), Place::arg("out"), Place::arg("index"), Place::arg("stream"));
  };
  using Exec = typename Place::Exec;
  bind("finite_frequency_forward", [](const Exec& exec, const FresnelSetup& s, View<const float, 1> x,
                                      View<float, 1> y) { finite_frequency_forward(exec, s, x, y); });
  bind("finite_frequency_adjoint", [](const Exec& exec, const FresnelSetup& s, View<const float, 1> x,
                                      View<float, 1> y) { finite_frequency_adjoint(exec, s, x, y); });
}

}  // namespace sonoray::bindings
