#pragma once
#include <complex>
#include <cstdint>
#include <optional>

#include "core/error.h"
#include "inversion/focus_criteria.h"

namespace sonoray::bindings {

/// Defines a function whose arguments are a FocusProblem, `Extra...`, and where to run.
template <class Place, class... Extra, class F, class... Names>
void define_focus(typename Place::Module& m, const char* name, F call, Names... names) {
  using Complex = std::complex<float>;
  using Samples = typename Place::template Array<const Complex, 3>;
  using Start = typename Place::template Array<const double, 1>;
  using Table = typename Place::template Array<const float, 2>;
  m.def(
      name,
      [call](Samples samples, std::int64_t margin, Start start, Table tx_time, Table rx_time,
             std::optional<Table> tx_weight, std::optional<Table> rx_weight, std::int64_t n_kernel,
             double sampling_frequency, double demodulation_frequency, bool cubic, Extra... extra, int index,
             std::uintptr_t stream) {
        FocusProblem p{};
        p.samples = Place::template view<const Complex, 3>(samples, "samples");
        p.margin = margin;
        p.start = Place::template view<const double, 1>(start, "start");
        p.tx_time = Place::template view<const float, 2>(tx_time, "tx_time");
        p.rx_time = Place::template view<const float, 2>(rx_time, "rx_time");
        p.tx_weight = Place::template view<const float, 2>(tx_weight, "tx_weight");
        p.rx_weight = Place::template view<const float, 2>(rx_weight, "rx_weight");
        p.n_kernel = n_kernel;
        p.sampling_frequency = sampling_frequency;
        p.demodulation_frequency = demodulation_frequency;
        p.cubic = cubic;
        call(Place::exec(index, stream), p, extra...);
      },
      Place::arg("samples"), Place::arg("margin"), Place::arg("start"), Place::arg("tx_time"), Place::arg("rx_time"),
      Place::arg("tx_weight").none(), Place::arg("rx_weight").none(), Place::arg("n_kernel"),
      Place::arg("sampling_frequency"), Place::arg("demodulation_frequency"), Place::arg("cubic"), names...,
      Place::arg("index"), Place::arg("stream"));
}

template <class Place>
void bind_focus_criteria(typename Place::Module& m) {
  using Exec = typename Place::Exec;
  using Complex = std::complex<float>;
  using Pairs = typename Place::template Array<Complex, 3>;
  using Energy = typename Place::template Array<float, 3>;
  define_focus<Place, std::int64_t, Pairs, Energy>(
      m, "focus_correlations",
      [](const Exec& exec, const FocusProblem& p, std::int64_t sub_aperture, Pairs& correlation, Energy& energy) {
        const auto to = Place::template view<Complex, 3>(correlation, "correlation");
        const auto square = Place::template view<float, 3>(energy, "energy");
        const typename Place::WithoutGil release;
        focus_correlations(exec, p, sub_aperture, to, square);
      },
      Place::arg("sub_aperture"), Place::arg("correlation"), Place::arg("energy"));
  using Loss = typename Place::template Array<double, 1>;
  using Slope = typename Place::template Array<float, 2>;
  define_focus<Place, int, std::int64_t, float, float, Loss, std::optional<Slope>, std::optional<Slope>>(
      m, "focus_loss",
      [](const Exec& exec, const FocusProblem& p, int measure, std::int64_t sub_aperture, float threshold, float scale,
         Loss& loss, std::optional<Slope>& tx_slope, std::optional<Slope>& rx_slope) {
        require(measure >= 0 && measure <= 3, "measure: expected 0 to 3");
        const FocusCriterion criterion{static_cast<FocusMeasure>(measure), sub_aperture, threshold, scale};
        const auto value = Place::template view<double, 1>(loss, "loss");
        const auto tx = Place::template view<float, 2>(tx_slope, "tx_slope");
        const auto rx = Place::template view<float, 2>(rx_slope, "rx_slope");
        const typename Place::WithoutGil release;
        focus_loss(exec, p, criterion, value, tx, rx);
      },
      Place::arg("measure"), Place::arg("sub_aperture"), Place::arg("threshold"), Place::arg("scale"),
      Place::arg("loss"), Place::arg("tx_slope").none(), Place::arg("rx_slope").none());
  using Image = typename Place::template Array<const Complex, 1>;
  define_focus<Place, Image, Slope, Slope>(
      m, "focus_image_slopes",
      [](const Exec& exec, const FocusProblem& p, Image& cotangent, Slope& tx_slope, Slope& rx_slope) {
        const auto g = Place::template view<const Complex, 1>(cotangent, "cotangent");
        const auto tx = Place::template view<float, 2>(tx_slope, "tx_slope");
        const auto rx = Place::template view<float, 2>(rx_slope, "rx_slope");
        const typename Place::WithoutGil release;
        focus_image_slopes(exec, p, g, tx, rx);
      },
      Place::arg("cotangent"), Place::arg("tx_slope"), Place::arg("rx_slope"));
}

}  // namespace sonoray::bindings
