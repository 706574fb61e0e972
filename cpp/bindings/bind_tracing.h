#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "core/error.h"
#include "core/view.h"
#include "media/interpolation.h"
#include "rays/tracing.h"

namespace sonoray::bindings {

template <int D>
interpolation::Points<D> grid_points(const std::vector<std::int64_t>& shape, const std::vector<double>& spacing,
                                     const std::vector<double>& origin) {
  require(shape.size() == D && spacing.size() == D && origin.size() == D, "grid: expected one value per axis");
  interpolation::Points<D> points;
  for (int d = 0; d < D; ++d) {
    points.shape[d] = shape[d];
    points.spacing[d] = spacing[d];
    points.origin[d] = origin[d];
  }
  return points;
}

inline interpolation::Kind kind_of(int code) {
  require(code >= 0 && code <= 2, "kind: expected 0 to 2");
  return static_cast<interpolation::Kind>(code);
}

/// A view of `data`, an array of one axis, as a field; none if it is empty.
template <int D>
interpolation::Field<D> field_of(const interpolation::Points<D>& points, interpolation::Kind kind,
                                 const View<const double, 1>& data, const char* name) {
  if (!data) return {};
  require(data.shape[0] == interpolation::field_size(points, kind),
          std::string(name) + ": expected as many numbers as a field of this grid and kind has");
  return interpolation::field_view(points, kind, data.data);
}

/// Fields are made on the host; a device gets a copy.
template <class Place, int D>
void bind_fields(typename Place::Module& m, const char* size, const char* make) {
  m.def(
      size,
      [](std::vector<std::int64_t> shape, int kind) {
        return interpolation::field_size(
            grid_points<D>(shape, std::vector<double>(D, 1.0), std::vector<double>(D, 0.0)), kind_of(kind));
      },
      Place::arg("shape"), Place::arg("kind"));
  m.def(
      make,
      [](typename Place::template Array<const double, D> samples, int kind,
         typename Place::template Array<double, 1> data, int index) {
        const auto from = Place::template view<const double, D>(samples, "samples");
        const auto to = Place::template view<double, 1>(data, "data");
        interpolation::Points<D> points;
        for (int d = 0; d < D; ++d) {
          points.shape[d] = from.shape[d];
          points.spacing[d] = 1.0;
          points.origin[d] = 0.0;
        }
        require(to.shape[0] == interpolation::field_size(points, kind_of(kind)), "data: expected field_size numbers");
        const typename Place::WithoutGil release;
        interpolation::make_field(Place::exec(index, 0), points, kind_of(kind), from.data, to.data);
      },
      Place::arg("samples"), Place::arg("kind"), Place::arg("data"), Place::arg("index"));
}

template <class Place, int D>
void bind_interpolate(typename Place::Module& m, const char* name) {
  m.def(
      name,
      [](typename Place::template Array<const double, 1> data, std::vector<std::int64_t> shape,
         std::vector<double> spacing, std::vector<double> origin, int kind,
         typename Place::template Array<const double, 2> points, int order,
         typename Place::template Array<double, 2> out, int index, std::uintptr_t stream) {
        const auto field = field_of<D>(grid_points<D>(shape, spacing, origin), kind_of(kind),
                                       Place::template view<const double, 1>(data, "data"), "data");
        const auto at = Place::template view<const double, 2>(points, "points");
        const auto to = Place::template view<double, 2>(out, "out");
        const typename Place::WithoutGil release;
        interpolation::interpolate(Place::exec(index, stream), field, at, order, to);
      },
      Place::arg("data"), Place::arg("shape"), Place::arg("spacing"), Place::arg("origin"), Place::arg("kind"),
      Place::arg("points"), Place::arg("order"), Place::arg("out"), Place::arg("index"), Place::arg("stream"));
}

/// `numbers`: sphere: centre, radius; convex: (normal, offset) of each face; else empty. They must outlive the surface.
template <int D>
tracing::Surface<D> surface_of(int shape, const std::vector<double>& numbers, const interpolation::Points<D>& grid) {
  require(shape >= 0 && shape <= 3, "surface: expected a shape from 0 to 3");
  tracing::Surface<D> surface;
  surface.shape = static_cast<tracing::Shape>(shape);
  for (int d = 0; d < D; ++d) {
    surface.low[d] = grid.origin[d];
    surface.high[d] = grid.origin[d] + grid.spacing[d] * static_cast<double>(grid.shape[d] - 1);
  }
  if (surface.shape == tracing::Shape::sphere) {
    require(numbers.size() == D + 1, "surface: expected a centre and a radius");
    for (int d = 0; d < D; ++d) surface.center[d] = numbers[d];
    surface.radius = numbers[D];
  }
  if (surface.shape == tracing::Shape::convex) {
    require(!numbers.empty() && numbers.size() % (D + 1) == 0, "surface: expected a normal and an offset per face");
    surface.faces = numbers.data();
    surface.n_faces = static_cast<int>(numbers.size() / (D + 1));
  }
  return surface;
}

template <class Place, int D>
void bind_trace(typename Place::Module& m, const char* name) {
  using Numbers = typename Place::template Array<const double, 1>;
  using Rows = typename Place::template Array<const double, 2>;
  using Results = typename Place::template Array<double, 2>;
  using Offsets = typename Place::template Array<const std::int64_t, 1>;
  m.def(
      name,
      [](std::vector<std::int64_t> shape, std::vector<double> spacing, std::vector<double> origin, int kind,
         Numbers medium, std::optional<Numbers> travel, std::optional<Numbers> absorption, double floor, int scheme,
         double step, int max_steps, bool amplitudes, int surface, std::vector<double> numbers, Rows positions,
         Rows directions, std::optional<Rows> points, std::optional<Rows> normals, std::optional<Results> result,
         std::optional<Results> nodes, std::optional<Offsets> offsets, int every, int index, std::uintptr_t stream) {
        const auto grid = grid_points<D>(shape, spacing, origin);
        require(scheme >= 0 && scheme <= 4, "scheme: expected 0 to 4");
        tracing::Job<D> job;
        const interpolation::Kind k = kind_of(kind);
        job.medium.index = field_of(grid, k, Place::template view<const double, 1>(medium, "medium"), "medium");
        job.medium.travel = field_of(grid, k, Place::template view<const double, 1>(travel, "travel"), "travel");
        job.medium.absorption =
            field_of(grid, k, Place::template view<const double, 1>(absorption, "absorption"), "absorption");
        job.medium.floor = floor;
        job.surface = surface_of(surface, numbers, grid);
        job.limits = {step, max_steps};
        job.scheme = static_cast<tracing::Scheme>(scheme);
        job.amplitudes = amplitudes;
        const auto rows = [&](const View<const double, 2>& v, const char* what) {
          if (!v) return v.data;
          require(v.shape[0] == job.n && v.shape[1] == D, std::string(what) + ": expected one row per ray");
          return v.data;
        };
        const auto from = Place::template view<const double, 2>(positions, "positions");
        job.n = from.shape[0];
        job.positions = rows(from, "positions");
        job.directions = rows(Place::template view<const double, 2>(directions, "directions"), "directions");
        job.points = rows(Place::template view<const double, 2>(points, "points"), "points");
        job.normals = rows(Place::template view<const double, 2>(normals, "normals"), "normals");
        const auto to = Place::template view<double, 2>(result, "result");
        using Columns = tracing::Columns<D>;
        require(
            !to || (to.shape[0] == job.n && to.shape[1] == (amplitudes ? Columns::with_amplitudes : Columns::plain)),
            "result: expected one row per ray");
        job.result = to.data;
        const auto kept = Place::template view<double, 2>(nodes, "nodes");
        const auto first = Place::template view<const std::int64_t, 1>(offsets, "offsets");
        require(!kept || (kept.shape[1] == D && first && first.shape[0] == job.n + 1), "nodes: expected offsets");
        job.nodes = kept.data;
        job.offsets = first.data;
        job.n_nodes = kept ? kept.shape[0] : 0;
        job.every = every;
        const typename Place::WithoutGil release;
        tracing::trace_rays(Place::exec(index, stream), job);
      },
      Place::arg("shape"), Place::arg("spacing"), Place::arg("origin"), Place::arg("kind"), Place::arg("medium"),
      Place::arg("travel").none(), Place::arg("absorption").none(), Place::arg("floor"), Place::arg("scheme"),
      Place::arg("step"), Place::arg("max_steps"), Place::arg("amplitudes"), Place::arg("surface"),
      Place::arg("numbers"), Place::arg("positions"), Place::arg("directions"), Place::arg("points").none(),
      Place::arg("normals").none(), Place::arg("result").none(), Place::arg("nodes").none(),
      Place::arg("offsets").none(), Place::arg("every"), Place::arg("index"), Place::arg("stream"));
}

template <class Place>
void bind_tracing(typename Place::Module& m) {
  if constexpr (std::is_same_v<typename Place::Exec, Cpu>) {
    bind_fields<Place, 2>(m, "field_size_2d", "make_field_2d");
    bind_fields<Place, 3>(m, "field_size_3d", "make_field_3d");
  }
  bind_interpolate<Place, 2>(m, "interpolate_2d");
  bind_interpolate<Place, 3>(m, "interpolate_3d");
  bind_trace<Place, 2>(m, "trace_rays_2d");
  bind_trace<Place, 3>(m, "trace_rays_3d");
}

}  // namespace sonoray::bindings
