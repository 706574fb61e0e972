#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/view.h"
#include "rays/linking.h"

namespace sonoray::bindings {

inline View<const double, 2> rows(const std::vector<double>& values, int columns, const char* name) {
  require(values.size() % columns == 0, std::string(name) + ": expected whole rows");
  return {values.data(), {static_cast<std::int64_t>(values.size() / columns), columns}};
}

/// `numbers`: spacing (D), origin (D), step, tolerance, floor of the index. `options`: kind of interpolation, solver,
/// max_traces, whether all arrivals are wanted.
template <int D>
LinkParams<D> link_params(const View<const double, D>& coefficients, const std::vector<double>& numbers,
                          const std::vector<int>& options) {
  require(numbers.size() == 2 * D + 3 && options.size() == 4, "numbers, options: expected 2 D + 3 and 4 values");
  require(options[0] >= 0 && options[0] <= 2 && options[1] >= 0 && options[1] <= 3, "options: no such kind or solver");
  LinkParams<D> p{};
  auto& field = p.medium.index;
  field.coefficients = coefficients.data;
  field.kind = static_cast<interpolation::Kind>(options[0]);
  p.cell = 1e300;
  double stride = 1;
  for (int d = D - 1; d >= 0; --d) {
    const double spacing = numbers[d], origin = numbers[D + d];
    require(spacing > 0 && coefficients.shape[d] >= 4, "coefficients: expected two points and one beyond each end");
    field.stride[d] = stride;
    field.origin[d] = origin;
    field.inverse[d] = 1 / spacing;
    field.last[d] = double(coefficients.shape[d] - 3);
    p.low[d] = origin;
    p.high[d] = origin + spacing * (coefficients.shape[d] - 3);
    p.cell = spacing < p.cell ? spacing : p.cell;
    stride *= coefficients.shape[d];
  }
  p.step = numbers[2 * D];
  p.tolerance = numbers[2 * D + 1];
  p.medium.floor = numbers[2 * D + 2];
  p.solver = static_cast<linking::Solver>(options[1]);
  p.max_traces = options[2];
  p.all = options[3] != 0;
  return p;
}

template <class Place, int D>
void bind_linking(typename Place::Module& m, const char* link_name, const char* paths_name) {
  using Field = typename Place::template Array<const double, D>;
  m.def(
      link_name,
      [](Field coefficients, std::vector<double> numbers, std::vector<int> options, std::vector<double> tx,
         std::vector<double> rx, typename Place::template Array<double, 3> rays,
         typename Place::template Array<std::int32_t, 3> marks, int index, std::uintptr_t stream) {
        const auto params = link_params<D>(Place::template view<const double, D>(coefficients, "coefficients"),
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
      Place::arg("coefficients"), Place::arg("numbers"), Place::arg("options"), Place::arg("tx"), Place::arg("rx"),
      Place::arg("rays"), Place::arg("marks"), Place::arg("index"), Place::arg("stream"));
  m.def(
      paths_name,
      [](Field coefficients, std::vector<double> numbers, std::vector<int> options, std::vector<double> tx,
         std::vector<double> rx, typename Place::template Array<const double, 3> rays,
         typename Place::template Array<const std::int32_t, 3> marks, int stride,
         typename Place::template Array<const std::int64_t, 1> offsets,
         typename Place::template Array<double, 2> points, int index, std::uintptr_t stream) {
        const auto params = link_params<D>(Place::template view<const double, D>(coefficients, "coefficients"),
                                           numbers, options);
        const auto from = Place::template view<const double, 3>(rays, "rays");
        const auto status = Place::template view<const std::int32_t, 3>(marks, "marks");
        const auto first = Place::template view<const std::int64_t, 1>(offsets, "offsets");
        const auto to = Place::template view<double, 2>(points, "points");
        const typename Place::WithoutGil release;
        link_paths<D>(Place::exec(index, stream), params, rows(tx, D, "tx"), rows(rx, D, "rx"), from, status, stride,
                      first, to);
      },
      Place::arg("coefficients"), Place::arg("numbers"), Place::arg("options"), Place::arg("tx"), Place::arg("rx"),
      Place::arg("rays"), Place::arg("marks"), Place::arg("stride"), Place::arg("offsets"), Place::arg("points"),
      Place::arg("index"), Place::arg("stream"));
}

template <class Place>
void bind_linking(typename Place::Module& m) {
  bind_linking<Place, 2>(m, "link_2d", "link_paths_2d");
  bind_linking<Place, 3>(m, "link_3d", "link_paths_3d");
}

}  // namespace sonoray::bindings
