#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "bindings/bind_tracing.h"
#include "core/error.h"
#include "core/view.h"
#include "media/interpolation.h"
#include "rays/linking.h"

namespace sonoray::bindings {

inline View<const double, 2> rows(const std::vector<double>& values, int columns, const char* name) {
  require(values.size() % columns == 0, std::string(name) + ": expected whole rows");
  return {values.data(), {static_cast<std::int64_t>(values.size() / columns), columns}};
}

/// `numbers`: step, tolerance, floor of the index. `options`: solver, max_traces, whether all arrivals are wanted.
template <int D>
LinkParams<D> link_params(const View<const double, 1>& field, const interpolation::Points<D>& grid, int kind,
                          const std::vector<double>& numbers, const std::vector<int>& options) {
  require(numbers.size() == 3 && options.size() == 3, "numbers, options: expected three each");
  require(options[0] >= 0 && options[0] <= 3, "solver: expected 0 to 3");
  LinkParams<D> p{};
  p.cell = 1e300;
  for (int d = 0; d < D; ++d) {
    p.low[d] = grid.origin[d];
    p.high[d] = grid.origin[d] + grid.spacing[d] * double(grid.shape[d] - 1);
    p.cell = grid.spacing[d] < p.cell ? grid.spacing[d] : p.cell;
  }
  p.medium.index = field_of<D>(grid, kind_of(kind), field, "field");
  p.step = numbers[0];
  p.tolerance = numbers[1];
  p.medium.floor = numbers[2];
  p.solver = static_cast<linking::Solver>(options[0]);
  p.max_traces = options[1];
  p.all = options[2] != 0;
  return p;
}

template <class Place, int D>
void bind_linking(typename Place::Module& m, const char* link_name, const char* paths_name) {
  using Field = typename Place::template Array<const double, 1>;
  m.def(
      link_name,
      [](Field field, std::vector<std::int64_t> shape, std::vector<double> spacing, std::vector<double> origin,
         int kind, std::vector<double> numbers, std::vector<int> options, std::vector<double> tx,
         std::vector<double> rx, typename Place::template Array<double, 3> rays,
         typename Place::template Array<std::int32_t, 3> marks, int index, std::uintptr_t stream) {
        const auto params = link_params<D>(Place::template view<const double, 1>(field, "field"),
                                           grid_points<D>(shape, spacing, origin), kind, numbers, options);
        const auto to = Place::template view<double, 3>(rays, "rays");
        const auto status = Place::template view<std::int32_t, 3>(marks, "marks");
        std::vector<double> flat;  // per later ray: emitter, receiver, caustics, fields
        LinkReport report;
        {
          const typename Place::WithoutGil release;
          std::vector<LaterRay<D>> later;
          report = link<D>(Place::exec(index, stream), params, rows(tx, D, "tx"), rows(rx, D, "rx"), to, status, later);
          for (const auto& r : later) {
            flat.insert(flat.end(), {double(r.tx), double(r.rx), double(r.caustics)});
            flat.insert(flat.end(), r.fields, r.fields + ray_fields<D>);
          }
        }
        return std::make_pair(report.fan_traces, flat);
      },
      Place::arg("field"), Place::arg("shape"), Place::arg("spacing"), Place::arg("origin"), Place::arg("kind"),
      Place::arg("numbers"), Place::arg("options"), Place::arg("tx"), Place::arg("rx"), Place::arg("rays"),
      Place::arg("marks"), Place::arg("index"), Place::arg("stream"));
  m.def(
      paths_name,
      [](Field field, std::vector<std::int64_t> shape, std::vector<double> spacing, std::vector<double> origin,
         int kind, std::vector<double> numbers, std::vector<int> options, std::vector<double> tx,
         std::vector<double> rx, typename Place::template Array<const double, 3> rays,
         typename Place::template Array<const std::int32_t, 3> marks, int stride,
         typename Place::template Array<const std::int64_t, 1> offsets,
         typename Place::template Array<double, 2> points, int index, std::uintptr_t stream) {
        const auto params = link_params<D>(Place::template view<const double, 1>(field, "field"),
                                           grid_points<D>(shape, spacing, origin), kind, numbers, options);
        const auto from = Place::template view<const double, 3>(rays, "rays");
        const auto status = Place::template view<const std::int32_t, 3>(marks, "marks");
        const auto first = Place::template view<const std::int64_t, 1>(offsets, "offsets");
        const auto to = Place::template view<double, 2>(points, "points");
        const typename Place::WithoutGil release;
        link_paths<D>(Place::exec(index, stream), params, rows(tx, D, "tx"), rows(rx, D, "rx"), from, status, stride,
                      first, to);
      },
      Place::arg("field"), Place::arg("shape"), Place::arg("spacing"), Place::arg("origin"), Place::arg("kind"),
      Place::arg("numbers"), Place::arg("options"), Place::arg("tx"), Place::arg("rx"), Place::arg("rays"),
      Place::arg("marks"), Place::arg("stride"), Place::arg("offsets"), Place::arg("points"), Place::arg("index"),
      Place::arg("stream"));
}

template <class Place>
void bind_linking(typename Place::Module& m) {
  bind_linking<Place, 2>(m, "link_2d", "link_paths_2d");
  bind_linking<Place, 3>(m, "link_3d", "link_paths_3d");
}

}  // namespace sonoray::bindings
