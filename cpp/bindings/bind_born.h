#pragma once
#include <complex>
#include <cstdint>
#include <optional>
#include <tuple>

#include "inversion/born.h"

namespace sonoray::bindings {

template <class Place>
void bind_born(typename Place::Module& m) {
  using Complex = std::complex<float>;
  using Table = typename Place::template Array<const float, 2>;
  using Counts = typename Place::template Array<const std::uint8_t, 2>;
  using Values = typename Place::template Array<const float, 1>;
  using Scale = typename Place::template Array<const Complex, 1>;
  using Waves = typename Place::template Array<const Complex, 3>;
  using WavesOut = typename Place::template Array<Complex, 3>;
  using Image = typename Place::template Array<Complex, 1>;
  m.def(
      "born_waves",
      [](Table sources, Table excess, Table focusing, std::optional<Table> absorption, std::optional<Table> take_off,
         std::optional<Table> arrival, std::optional<Counts> caustics, float reference_sound_speed,
         std::tuple<std::int64_t, std::int64_t> shape, std::tuple<float, float> origin,
         std::tuple<float, float> spacing, Table points, Scale scale, std::optional<Table> facing, float frequency,
         float gain, float cap, float delay, WavesOut out, int index, std::uintptr_t stream) {
        BornWaves w{};
        w.fields.sources = Place::template view<const float, 2>(sources, "sources");
        w.fields.excess = Place::template view<const float, 2>(excess, "excess");
        w.fields.focusing = Place::template view<const float, 2>(focusing, "focusing");
        w.fields.absorption = Place::template view<const float, 2>(absorption, "absorption");
        w.fields.take_off = Place::template view<const float, 2>(take_off, "take_off");
        w.fields.arrival = Place::template view<const float, 2>(arrival, "arrival");
        w.fields.caustics = Place::template view<const std::uint8_t, 2>(caustics, "caustics");
        w.fields.reference_sound_speed = reference_sound_speed;
        w.fields.shape[0] = std::get<0>(shape);
        w.fields.shape[1] = std::get<1>(shape);
        w.fields.origin[0] = std::get<0>(origin);
        w.fields.origin[1] = std::get<1>(origin);
        w.fields.spacing[0] = std::get<0>(spacing);
        w.fields.spacing[1] = std::get<1>(spacing);
        w.points = Place::template view<const float, 2>(points, "points");
        w.scale = Place::template view<const Complex, 1>(scale, "scale");
        w.facing = Place::template view<const float, 2>(facing, "facing");
        w.frequency = frequency;
        w.gain = gain;
        w.cap = cap;
        w.delay = delay;
        const auto to = Place::template view<Complex, 3>(out, "out");
        const typename Place::WithoutGil release;
        born_waves(Place::exec(index, stream), w, to);
      },
      Place::arg("sources"), Place::arg("excess"), Place::arg("focusing"), Place::arg("absorption").none(),
      Place::arg("take_off").none(), Place::arg("arrival").none(), Place::arg("caustics").none(),
      Place::arg("reference_sound_speed"), Place::arg("shape"), Place::arg("origin"), Place::arg("spacing"),
      Place::arg("points"), Place::arg("scale"), Place::arg("facing").none(), Place::arg("frequency"),
      Place::arg("gain"), Place::arg("cap"), Place::arg("delay"), Place::arg("out"), Place::arg("index"),
      Place::arg("stream"));
  m.def(
      "born_rowdot",
      [](Waves a, Waves b, Values factor, Image out, int index, std::uintptr_t stream) {
        const auto x = Place::template view<const Complex, 3>(a, "a");
        const auto y = Place::template view<const Complex, 3>(b, "b");
        const auto f = Place::template view<const float, 1>(factor, "factor");
        const auto to = Place::template view<Complex, 1>(out, "out");
        const typename Place::WithoutGil release;
        born_rowdot(Place::exec(index, stream), x, y, f, to);
      },
      Place::arg("a"), Place::arg("b"), Place::arg("factor"), Place::arg("out"), Place::arg("index"),
      Place::arg("stream"));
}

}  // namespace sonoray::bindings
