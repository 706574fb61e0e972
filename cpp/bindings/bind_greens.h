#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "bindings/bind_linking.h"
#include "bindings/bind_tracing.h"
#include "core/view.h"
#include "rays/greens.h"

namespace sonoray::bindings {

/// `numbers`: step, width, floor of the index, reference sound speed. Returns rays, steps, seconds of tracing and of
/// rastering, whether there are caustics.
template <class Place>
void bind_greens(typename Place::Module& m) {
  using Numbers = typename Place::template Array<const double, 1>;
  using Field = typename Place::template Array<float, 2>;
  m.def(
      "greens_fields",
      [](Numbers index_field, std::vector<std::int64_t> shape, std::vector<double> spacing, std::vector<double> origin,
         int kind, std::optional<Numbers> absorption_field, std::vector<double> numbers, int every,
         std::vector<double> sources, std::vector<double> points, Field excess, Field focusing, Field take_off,
         Field arrival, std::optional<Field> absorption, typename Place::template Array<std::uint8_t, 2> caustics,
         int index, std::uintptr_t stream) {
        const auto grid = grid_points<2>(shape, spacing, origin);
        const interpolation::Kind k = kind_of(kind);
        require(numbers.size() == 4, "numbers: expected four");
        greens::Job job;
        job.medium.index = field_of(grid, k, Place::template view<const double, 1>(index_field, "index"), "index");
        job.medium.absorption =
            field_of(grid, k, Place::template view<const double, 1>(absorption_field, "absorption"), "absorption");
        job.step = numbers[0];
        job.width = numbers[1];
        job.medium.floor = numbers[2];
        job.speed = numbers[3];
        job.every = every;
        for (int d = 0; d < 2; ++d) {
          job.low[d] = grid.origin[d];
          job.high[d] = grid.origin[d] + grid.spacing[d] * static_cast<double>(grid.shape[d] - 1);
        }
        job.sources = rows(sources, 2, "sources");
        job.points = rows(points, 2, "points");
        job.excess = Place::template view<float, 2>(excess, "excess");
        job.focusing = Place::template view<float, 2>(focusing, "focusing");
        job.take_off = Place::template view<float, 2>(take_off, "take_off");
        job.arrival = Place::template view<float, 2>(arrival, "arrival");
        job.absorption = Place::template view<float, 2>(absorption, "absorption");
        job.caustics = Place::template view<std::uint8_t, 2>(caustics, "caustics");
        greens::Report report;
        {
          const typename Place::WithoutGil release;
          report = greens::fields(Place::exec(index, stream), job);
        }
        return std::make_tuple(report.rays, report.steps, report.trace, report.raster, report.caustics);
      },
      Place::arg("index_field"), Place::arg("shape"), Place::arg("spacing"), Place::arg("origin"), Place::arg("kind"),
      Place::arg("absorption_field").none(), Place::arg("numbers"), Place::arg("every"), Place::arg("sources"),
      Place::arg("points"), Place::arg("excess"), Place::arg("focusing"), Place::arg("take_off"), Place::arg("arrival"),
      Place::arg("absorption").none(), Place::arg("caustics"), Place::arg("index"), Place::arg("stream"));
}

}  // namespace sonoray::bindings
