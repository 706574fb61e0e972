#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/view.h"
#include "media/interpolation.h"
#include "rays/linking.h"

namespace sonoray::bindings {

inline View<const double, 2> rows(const std::vector<double>& values, int columns, const char* name) {
  require(values.size() % columns == 0, std::string(name) + ": expected whole rows");
  return {values.data(), {static_cast<std::int64_t>(values.size() / columns), columns}};
}

/// `numbers`: spacing (D), origin (D), step, tolerance, floor of the index. `options`: grid's shape (D), kind of
/// interpolation, solver, max_traces, whether all arrivals are wanted.
template <int D>
LinkParams<D> link_params(const View<const double, 1>& field, const std::vector<double>& numbers,
                          const std::vector<int>& options) {
  require(numbers.size() == 2 * D + 3 && options.size() == D + 4, "numbers, options: expected 2 D + 3 and D + 4");
  const int kind = options[D], solver = options[D + 1];
  require(kind >= 0 && kind <= 2 && solver >= 0 && solver <= 3, "options: no such kind or solver");
  interpolation::Points<D> points;
  LinkParams<D> p{};
  p.cell = 1e300;
  for (int d = 0; d < D; ++d) {
    points.shape[d] = options[d];
    points.spacing[d] = numbers[d];
    points.origin[d] = numbers[D + d];
    p.low[d] = points.origin[d];
    p.high[d] = points.origin[d] + points.spacing[d] * double(points.shape[d] - 1);
    p.cell = points.spacing[d] < p.cell ? points.spacing[d] : p.cell;
  }
  const auto k = static_cast<interpolation::Kind>(kind);
  require(field.size() == interpolation::field_size<D>(points, k), "field: expected the numbers of this grid and kind");
  p.medium.index = interpolation::field_view<D>(points, k, field.data);
  p.step = numbers[2 * D];
  p.tolerance = numbers[2 * D + 1];
  p.medium.floor = numbers[2 * D + 2];
  p.solver = static_cast<linking::Solver>(solver);
  p.max_traces = options[D + 2];
  p.all = options[D + 3] != 0;
  return p;
}

template <class Place, int D>
void bind_linking(typename Place::Module& m, const char* link_name, const char* paths_name) {
  using Field = typename Place::template Array<const double, 1>;
  m.def(
      link_name,
      [](Field field, std::vector<double> numbers, std::vector<int> options, std::vector<double> tx,
         std::vector<double> rx, typename Place::template Array<double, 3> rays,
         typename Place::template Array<std::int32_t, 3> marks, int index, std::uintptr_t stream) {
        const auto params = link_params<D>(Place::template view<const double, 1>(field, "field"),
                                           numbers, options);
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
      Place::arg("field"), Place::arg("numbers"), Place::arg("options"), Place::arg("tx"), Place::arg("rx"),
      Place::arg("rays"), Place::arg("marks"), Place::arg("index"), Place::arg("stream"));
  m.def(
      paths_name,
      [](Field field, std::vector<double> numbers, std::vector<int> options, std::vector<double> tx,
         std::vector<double> rx, typename Place::template Array<const double, 3> rays,
         typename Place::template Array<const std::int32_t, 3> marks, int stride,
         typename Place::template Array<const std::int64_t, 1> offsets,
         typename Place::template Array<double, 2> points, int index, std::uintptr_t stream) {
        const auto params = link_params<D>(Place::template view<const double, 1>(field, "field"),
                                           numbers, options);
        const auto from = Place::template view<const double, 3>(rays, "rays");
        const auto status = Place::template view<const std::int32_t, 3>(marks, "marks");
        const auto first = Place::template view<const std::int64_t, 1>(offsets, "offsets");
        const auto to = Place::template view<double, 2>(points, "points");
        const typename Place::WithoutGil release;
        link_paths<D>(Place::exec(index, stream), params, rows(tx, D, "tx"), rows(rx, D, "rx"), from, status, stride,
                      first, to);
      },
      Place::arg("field"), Place::arg("numbers"), Place::arg("options"), Place::arg("tx"), Place::arg("rx"),
      Place::arg("rays"), Place::arg("marks"), Place::arg("stride"), Place::arg("offsets"), Place::arg("points"),
      Place::arg("index"), Place::arg("stream"));
}

template <class Place>
void bind_linking(typename Place::Module& m) {
  bind_linking<Place, 2>(m, "link_2d", "link_paths_2d");
  bind_linking<Place, 3>(m, "link_3d", "link_paths_3d");
}

}  // namespace sonoray::bindings
