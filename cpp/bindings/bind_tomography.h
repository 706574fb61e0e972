#pragma once
#include <algorithm>
#include <cstdint>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/view.h"
#include "inversion/sparse_rows.h"
#include "inversion/tomography.h"

namespace sonoray::bindings {

inline TomographyGrid tomography_grid(const std::vector<std::int64_t>& shape, const std::vector<double>& spacing,
                                      const std::vector<double>& origin) {
  require((shape.size() == 2 || shape.size() == 3) && spacing.size() == shape.size() && origin.size() == shape.size(),
          "shape, spacing, origin: expected 2 or 3 values each");
  TomographyGrid grid;
  grid.ndim = static_cast<int>(shape.size());
  for (int i = 0; i < grid.ndim; ++i) {
    grid.shape[i] = shape[i];
    grid.spacing[i] = spacing[i];
    grid.origin[i] = origin[i];
  }
  return grid;
}

template <class Place, class Value>
void bind_sparse_rows(typename Place::Module& m, const char* check, const char* product, const char* transposed) {
  using Starts = typename Place::template Array<const std::int64_t, 1>;
  using Indices = typename Place::template Array<const std::int32_t, 1>;
  using Values = typename Place::template Array<const Value, 1>;
  using Vector = typename Place::template Array<const double, 1>;
  using Out = typename Place::template Array<double, 1>;
  const auto rows = [](Starts& starts, Indices& indices, Values& values) {
    SparseRows<Value> a{Place::template view<const std::int64_t, 1>(starts, "starts"),
                        Place::template view<const std::int32_t, 1>(indices, "indices"),
                        Place::template view<const Value, 1>(values, "values")};
    require(a.n_rows() >= 0, "starts: expected n_rows + 1 numbers, got none");
    return a;
  };
  m.def(
      check,
      [rows](Starts starts, Indices indices, Values values, std::int64_t n_columns) {
        const auto a = rows(starts, indices, values);
        const typename Place::WithoutGil release;
        return is_consistent(a, n_columns);
      },
      Place::arg("starts"), Place::arg("indices"), Place::arg("values"), Place::arg("n_columns"));
  m.def(
      product,
      [rows](Starts starts, Indices indices, Values values, Vector x, Out out, int index) {
        const auto a = rows(starts, indices, values);
        const auto from = Place::template view<const double, 1>(x, "x");
        const auto to = Place::template view<double, 1>(out, "out");
        const typename Place::WithoutGil release;
        sparse_product(Place::exec(index, 0), a, from, to);
      },
      Place::arg("starts"), Place::arg("indices"), Place::arg("values"), Place::arg("x"), Place::arg("out"),
      Place::arg("index"));
  m.def(
      transposed,
      [rows](Starts starts, Indices indices, Values values, Vector y, Out out, int index) {
        const auto a = rows(starts, indices, values);
        const auto from = Place::template view<const double, 1>(y, "y");
        const auto to = Place::template view<double, 1>(out, "out");
        const typename Place::WithoutGil release;
        sparse_transpose_product(Place::exec(index, 0), a, from, to);
      },
      Place::arg("starts"), Place::arg("indices"), Place::arg("values"), Place::arg("y"), Place::arg("out"),
      Place::arg("index"));
}

/// What only the host has: the check of paths and the matrix.
template <class Place>
void bind_tomography_host(typename Place::Module& m) {
  using Points = typename Place::template Array<const double, 2>;
  using Offsets = typename Place::template Array<const std::int32_t, 1>;
  using Numbers = std::optional<typename Place::template Array<const double, 1>>;
  using Columns = std::optional<Offsets>;
  m.def(
      "check_paths",
      [](std::vector<std::int64_t> shape, std::vector<double> spacing, std::vector<double> origin, Points points,
         Offsets offsets, int index) {
        const TomographyGrid grid = tomography_grid(shape, spacing, origin);
        const RayPaths paths{Place::template view<const double, 2>(points, "points"),
                             Place::template view<const std::int32_t, 1>(offsets, "offsets")};
        const typename Place::WithoutGil release;
        const PathCheck found = check_paths(Place::exec(index, 0), grid, paths);
        return std::pair<std::int64_t, double>(found.outside, found.total_length);
      },
      Place::arg("shape"), Place::arg("spacing"), Place::arg("origin"), Place::arg("points"), Place::arg("offsets"),
      Place::arg("index"));
  m.def(
      "travel_time_matrix",
      [](std::vector<std::int64_t> shape, std::vector<double> spacing, std::vector<double> origin, Points points,
         Offsets offsets, Numbers weights, Columns columns, int index) {
        const TomographyGrid grid = tomography_grid(shape, spacing, origin);
        const RayPaths paths{Place::template view<const double, 2>(points, "points"),
                             Place::template view<const std::int32_t, 1>(offsets, "offsets")};
        const auto w = Place::template view<const double, 1>(weights, "weights");
        const auto c = Place::template view<const std::int32_t, 1>(columns, "columns");
        std::vector<MatrixRows> rows;
        {
          const typename Place::WithoutGil release;
          rows = travel_time_matrix(Place::exec(index, 0), grid, paths, w, c);
        }
        std::int64_t entries = 0;
        for (const MatrixRows& part : rows) entries += static_cast<std::int64_t>(part.indices.size());
        typename Place::template Array<std::int64_t, 1> starts(paths.n_rays() + 1);
        typename Place::template Array<std::int32_t, 1> indices(entries);
        typename Place::template Array<double, 1> values(entries);
        std::int64_t* start = starts.mutable_data();
        std::int64_t done = 0;
        *start++ = 0;
        for (MatrixRows& part : rows) {
          for (const std::int64_t end : part.ends) *start++ = done + end;
          std::copy(part.indices.begin(), part.indices.end(), indices.mutable_data() + done);
          std::copy(part.values.begin(), part.values.end(), values.mutable_data() + done);
          done += static_cast<std::int64_t>(part.indices.size());
          part = MatrixRows{};  // not all of it twice
        }
        return std::make_tuple(starts, indices, values);
      },
      Place::arg("shape"), Place::arg("spacing"), Place::arg("origin"), Place::arg("points"), Place::arg("offsets"),
      Place::arg("weights").none(), Place::arg("columns").none(), Place::arg("index"));
  bind_sparse_rows<Place, float>(m, "sparse_check_float", "sparse_product_float", "sparse_transpose_product_float");
  bind_sparse_rows<Place, double>(m, "sparse_check_double", "sparse_product_double", "sparse_transpose_product_double");
}

template <class Place>
void bind_tomography(typename Place::Module& m) {
  using Points = typename Place::template Array<const double, 2>;
  using Offsets = typename Place::template Array<const std::int32_t, 1>;
  using Numbers = typename Place::template Array<const double, 1>;
  using Out = typename Place::template Array<double, 1>;
  m.def(
      "travel_times",
      [](std::vector<std::int64_t> shape, std::vector<double> spacing, std::vector<double> origin, Points points,
         Offsets offsets, std::optional<Numbers> weights, std::optional<Offsets> columns, Numbers x, Out out, int index,
         std::uintptr_t stream) {
        const TomographyGrid grid = tomography_grid(shape, spacing, origin);
        const RayPaths paths{Place::template view<const double, 2>(points, "points"),
                             Place::template view<const std::int32_t, 1>(offsets, "offsets")};
        const auto w = Place::template view<const double, 1>(weights, "weights");
        const auto c = Place::template view<const std::int32_t, 1>(columns, "columns");
        const auto from = Place::template view<const double, 1>(x, "x");
        const auto to = Place::template view<double, 1>(out, "out");
        const typename Place::WithoutGil release;
        travel_times(Place::exec(index, stream), grid, paths, w, c, from, to);
      },
      Place::arg("shape"), Place::arg("spacing"), Place::arg("origin"), Place::arg("points"), Place::arg("offsets"),
      Place::arg("weights").none(), Place::arg("columns").none(), Place::arg("x"), Place::arg("out"),
      Place::arg("index"), Place::arg("stream"));
  m.def(
      "travel_times_adjoint",
      [](std::vector<std::int64_t> shape, std::vector<double> spacing, std::vector<double> origin, Points points,
         Offsets offsets, double total_length, std::optional<Numbers> weights, std::optional<Offsets> columns,
         Numbers y, Out out, int index, std::uintptr_t stream) {
        const TomographyGrid grid = tomography_grid(shape, spacing, origin);
        const RayPaths paths{Place::template view<const double, 2>(points, "points"),
                             Place::template view<const std::int32_t, 1>(offsets, "offsets")};
        const auto w = Place::template view<const double, 1>(weights, "weights");
        const auto c = Place::template view<const std::int32_t, 1>(columns, "columns");
        const auto from = Place::template view<const double, 1>(y, "y");
        const auto to = Place::template view<double, 1>(out, "out");
        const typename Place::WithoutGil release;
        travel_times_adjoint(Place::exec(index, stream), grid, paths, total_length, w, c, from, to);
      },
      Place::arg("shape"), Place::arg("spacing"), Place::arg("origin"), Place::arg("points"), Place::arg("offsets"),
      Place::arg("total_length"), Place::arg("weights").none(), Place::arg("columns").none(), Place::arg("y"),
      Place::arg("out"), Place::arg("index"), Place::arg("stream"));
}

}  // namespace sonoray::bindings
