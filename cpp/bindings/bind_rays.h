#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/view.h"
#include "rays/eikonal.h"

namespace sonoray::bindings {

/// D + 1 axes as two: (n, nodes).
template <int D, class T>
View<T, 2> flat(const View<T, D + 1>& v, const EikonalGrid& grid, const char* name) {
  for (int i = 0; i < D; ++i)
    require(v.shape[i + 1] == grid.shape[i], std::string(name) + ": expected shape (n, *grid.shape)");
  return {v.data, {v.shape[0], grid.size()}};
}

template <int D>
EikonalGrid eikonal_grid(const View<const float, D>& slowness, const std::vector<double>& spacing,
                         const std::vector<double>& origin) {
  require(spacing.size() == D && origin.size() == D, "spacing, origin: expected one value per axis");
  EikonalGrid grid;
  grid.ndim = D;
  for (int i = 0; i < D; ++i) {
    grid.shape[i] = slowness.shape[i];
    grid.spacing[i] = spacing[i];
    grid.origin[i] = origin[i];
  }
  return grid;
}

inline View<const double, 2> triples(const std::vector<double>& values, const char* name) {
  require(values.size() % 3 == 0, std::string(name) + ": expected three values each");
  return {values.data(), {static_cast<std::int64_t>(values.size() / 3), 3}};
}

/// Geometry (sources, reference slowness) is small and comes as lists; fields lie in the place's own memory.
template <class Place, int D>
void bind_eikonal(typename Place::Module& m, const char* points, const char* fronts) {
  using Medium = typename Place::template Array<const float, D>;
  using Field = typename Place::template Array<float, D + 1>;
  m.def(
      points,
      [](Medium slowness, std::vector<double> spacing, std::vector<double> origin, double max_slowness, int max_rounds,
         std::vector<double> sources, bool mean_slowness, Field out, int index, std::uintptr_t stream) {
        const auto s = Place::template view<const float, D>(slowness, "slowness");
        const EikonalGrid grid = eikonal_grid<D>(s, spacing, origin);
        const auto to = flat<D>(Place::template view<float, D + 1>(out, "out"), grid, "out");
        const typename Place::WithoutGil release;
        eikonal_points(Place::exec(index, stream), grid, EikonalParams{max_rounds, max_slowness},
                       View<const float, 1>{s.data, {grid.size()}}, triples(sources, "sources"), mean_slowness, to);
      },
      Place::arg("slowness"), Place::arg("spacing"), Place::arg("origin"), Place::arg("max_slowness"),
      Place::arg("max_rounds"), Place::arg("sources"), Place::arg("mean_slowness"), Place::arg("out"),
      Place::arg("index"), Place::arg("stream"));
  m.def(
      fronts,
      [](Medium slowness, std::vector<double> spacing, std::vector<double> origin, double max_slowness, int max_rounds,
         std::vector<double> reference, Field times, int index, std::uintptr_t stream) {
        const auto s = Place::template view<const float, D>(slowness, "slowness");
        const EikonalGrid grid = eikonal_grid<D>(s, spacing, origin);
        const auto field = flat<D>(Place::template view<float, D + 1>(times, "times"), grid, "times");
        const typename Place::WithoutGil release;
        eikonal_fronts(Place::exec(index, stream), grid, EikonalParams{max_rounds, max_slowness},
                       View<const float, 1>{s.data, {grid.size()}}, triples(reference, "reference"), field);
      },
      Place::arg("slowness"), Place::arg("spacing"), Place::arg("origin"), Place::arg("max_slowness"),
      Place::arg("max_rounds"), Place::arg("reference"), Place::arg("times"), Place::arg("index"),
      Place::arg("stream"));
}

/// Derivatives with respect to the slowness: (n, nodes) to (nodes) and back.
template <class Place, int D>
void bind_eikonal_tangent(typename Place::Module& m, const char* gradient, const char* derivative) {
  using Medium = typename Place::template Array<const float, D>;
  using Image = typename Place::template Array<double, D>;
  using Given = typename Place::template Array<const float, D + 1>;
  using Field = typename Place::template Array<float, D + 1>;
  const auto given = [](std::optional<Given>& field, const EikonalGrid& grid, const char* name) {
    const auto v = Place::template view<const float, D + 1>(field, name);
    return v ? flat<D>(v, grid, name) : View<const float, 2>{};
  };
  m.def(
      gradient,
      [given](Medium slowness, std::vector<double> spacing, std::vector<double> origin, double max_slowness,
              int max_rounds, std::vector<double> sources, bool mean_slowness, std::optional<Given> solution,
              Given cotangent, Image out, int index, std::uintptr_t stream) {
        const auto s = Place::template view<const float, D>(slowness, "slowness");
        const EikonalGrid grid = eikonal_grid<D>(s, spacing, origin);
        const auto known = given(solution, grid, "solution");
        const auto from = flat<D>(Place::template view<const float, D + 1>(cotangent, "cotangent"), grid, "cotangent");
        const auto to = Place::template view<double, D>(out, "out");
        const typename Place::WithoutGil release;
        eikonal_gradient(Place::exec(index, stream), grid, EikonalParams{max_rounds, max_slowness},
                         View<const float, 1>{s.data, {grid.size()}}, triples(sources, "sources"), mean_slowness, known,
                         from, View<double, 1>{to.data, {to.size()}});
      },
      Place::arg("slowness"), Place::arg("spacing"), Place::arg("origin"), Place::arg("max_slowness"),
      Place::arg("max_rounds"), Place::arg("sources"), Place::arg("mean_slowness"), Place::arg("solution").none(),
      Place::arg("cotangent"), Place::arg("out"), Place::arg("index"), Place::arg("stream"));
  m.def(
      derivative,
      [given](Medium slowness, std::vector<double> spacing, std::vector<double> origin, double max_slowness,
              int max_rounds, std::vector<double> sources, bool mean_slowness, std::optional<Given> solution,
              Medium change, Field out, int index, std::uintptr_t stream) {
        const auto s = Place::template view<const float, D>(slowness, "slowness");
        const EikonalGrid grid = eikonal_grid<D>(s, spacing, origin);
        const auto known = given(solution, grid, "solution");
        const auto from = Place::template view<const float, D>(change, "change");
        const auto to = flat<D>(Place::template view<float, D + 1>(out, "out"), grid, "out");
        const typename Place::WithoutGil release;
        eikonal_derivative(Place::exec(index, stream), grid, EikonalParams{max_rounds, max_slowness},
                           View<const float, 1>{s.data, {grid.size()}}, triples(sources, "sources"), mean_slowness,
                           known, View<const float, 1>{from.data, {from.size()}}, to);
      },
      Place::arg("slowness"), Place::arg("spacing"), Place::arg("origin"), Place::arg("max_slowness"),
      Place::arg("max_rounds"), Place::arg("sources"), Place::arg("mean_slowness"), Place::arg("solution").none(),
      Place::arg("change"), Place::arg("out"), Place::arg("index"), Place::arg("stream"));
}

template <class Place>
void bind_rays(typename Place::Module& m) {
  bind_eikonal<Place, 2>(m, "eikonal_points_2d", "eikonal_fronts_2d");
  bind_eikonal<Place, 3>(m, "eikonal_points_3d", "eikonal_fronts_3d");
  bind_eikonal_tangent<Place, 2>(m, "eikonal_gradient_2d", "eikonal_derivative_2d");
  bind_eikonal_tangent<Place, 3>(m, "eikonal_gradient_3d", "eikonal_derivative_3d");
}

}  // namespace sonoray::bindings
