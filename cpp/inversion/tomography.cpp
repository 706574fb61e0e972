#include "inversion/tomography.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "core/dispatch.h"
#include "core/error.h"
#include "core/for_each.h"
#include "inversion/tomography_checks.h"
#include "inversion/tomography_rays.h"

namespace sonoray {
namespace {

using namespace tomography;

/// Numbers on their own cache lines; the system gives large ones as zero pages, untouched.
class Buffer {
 public:
  explicit Buffer(std::int64_t n) : data_(static_cast<double*>(std::aligned_alloc(64, (n * 8 + 63) / 64 * 64))) {
    if (!data_) throw std::bad_alloc();
  }
  ~Buffer() { std::free(data_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  double* data() const { return data_; }

 private:
  double* data_;
};

constexpr std::int64_t rays_at_once = 64;  // so that threads share the work evenly
constexpr std::int64_t nodes_at_once = 4096;

Work work_of(const TomographyGrid& grid, const RayPaths& paths, View<const double, 1> weights) {
  return {grid, paths.points.data, paths.offsets.data, weights.data};
}

template <int D>
void expand(const Cpu& exec, const TomographyGrid& grid, View<const std::int32_t, 1> columns, View<const double, 1> x,
            double* c) {
  const auto cell = [&](std::int64_t node) {
    std::int64_t index[D];
    unravel<D>(node, grid.shape, index);
    if (is_cell<D>(index, grid.shape)) cell_coefficients<D>(x.data, columns.data, node, grid.shape, c + (node << D));
  };
  for_each(exec, grid.size(), cell, nodes_at_once);
}

template <int D>
void contract(const Cpu& exec, const TomographyGrid& grid, View<const std::int32_t, 1> columns, const double* moments,
              View<double, 1> out) {
  const auto moment = [&](std::int64_t cell, int m) { return moments[(cell << D) + m]; };
  const auto collect = [&](std::int64_t node) {
    if (columns && columns(node) < 0) return;
    std::int64_t index[D];
    unravel<D>(node, grid.shape, index);
    out(columns ? columns(node) : node) = gather_moments<D>(moment, node, index, grid.shape);
  };
  for_each(exec, grid.size(), collect, nodes_at_once);
}

/// Into how many parts with an image each the rays are divided: enough for threads, few enough that clearing and
/// adding images costs less than the rays. Depends on the problem only, so that the result does.
std::int64_t parts_of(const TomographyGrid& grid, std::int64_t n_rays, double total_length) {
  double spacing = grid.spacing[0];
  for (int i = 1; i < grid.ndim; ++i) spacing = std::min(spacing, grid.spacing[i]);
  const double steps = total_length / spacing;
  const double parts = steps / (4.0 * static_cast<double>(grid.size()));
  return std::min<std::int64_t>({16, std::max<std::int64_t>(1, static_cast<std::int64_t>(std::min(parts, 16.0))),
                                 std::max<std::int64_t>(1, n_rays)});
}

std::int64_t pieces_of(const Work& work, std::int64_t ray, std::vector<std::int32_t>& cells,
                       std::vector<double>& moments) {
  std::int64_t n = 0;
  const auto ask = [&](std::int64_t capacity) {
#if defined(SONORAY_HAS_LEVELS)
    switch (cpu_level()) {
      case CpuLevel::v4:
        return SONORAY_TOP::list_pieces(work, ray, capacity, cells.data(), moments.data());
      case CpuLevel::v3:
        return v3::list_pieces(work, ray, capacity, cells.data(), moments.data());
      default:
        break;
    }
#endif
    return baseline::list_pieces(work, ray, capacity, cells.data(), moments.data());
  };
  n = ask(static_cast<std::int64_t>(cells.size()));
  if (n > static_cast<std::int64_t>(cells.size())) {
    cells.resize(n);
    moments.resize(n << work.grid.ndim);
    n = ask(n);
  }
  return n;
}

/// Entries of one ray's row, columns in the order in which the ray meets them; parts of nodes that it only touches are
/// rounding and left out.
template <int D>
class Row {
 public:
  Row(const Work& work, View<const std::int32_t, 1> columns)
      : work_(work), columns_(columns), place_(work.grid.size(), -1) {
    for (int k = 0; k < 1 << D; ++k) offset_[k] = corner_offset<D>(k, work.grid.shape);
  }

  const std::vector<std::pair<std::int32_t, double>>& operator()(std::int64_t ray) {
    const std::int64_t n = pieces_of(work_, ray, cells_, moments_);
    entries_.clear();
    double length = 0;
    for (std::int64_t p = 0; p < n;) {
      const std::int32_t cell = cells_[p];
      double w[1 << D] = {};
      for (; p < n && cells_[p] == cell; ++p)  // short steps: several pieces in a cell
        for (int m = 0; m < 1 << D; ++m) w[m] += moments_[(p << D) + m];
      length += w[0];
      corners<D>(w);
      for (int k = 0; k < 1 << D; ++k) {
        const std::int64_t node = cell + offset_[k];
        const std::int32_t column = columns_ ? columns_(node) : static_cast<std::int32_t>(node);
        if (column < 0) continue;
        std::int32_t& place = place_[column];
        if (place < 0) {
          place = static_cast<std::int32_t>(entries_.size());
          entries_.emplace_back(column, 0.0);
        }
        entries_[place].second += w[k];
      }
    }
    for (const auto& entry : entries_) place_[entry.first] = -1;
    const auto touched = [&](const auto& entry) { return !(entry.second > 1e-15 * length); };
    entries_.erase(std::remove_if(entries_.begin(), entries_.end(), touched), entries_.end());
    return entries_;
  }

 private:
  const Work& work_;
  View<const std::int32_t, 1> columns_;
  std::int64_t offset_[1 << D];
  std::vector<std::int32_t> cells_, place_;
  std::vector<double> moments_;
  std::vector<std::pair<std::int32_t, double>> entries_;
};

template <int D>
void matrix_rows(const Work& work, View<const std::int32_t, 1> columns, std::int64_t begin, std::int64_t end,
                 MatrixRows& to) {
  Row<D> row(work, columns);
  std::int64_t most = 0;  // of a row, if the ray is straight
  for (int i = 0; i < D; ++i) most += D * work.grid.shape[i];
  const std::int64_t room = std::min<std::int64_t>((end - begin) * most, 1 << 22);  // untouched memory costs nothing
  to.indices.reserve(room);
  to.values.reserve(room);
  for (std::int64_t ray = begin; ray < end; ++ray) {
    const double weight = work.weights ? work.weights[ray] : 1.0;
    for (const auto& entry : row(ray)) {
      to.indices.push_back(entry.first);
      to.values.push_back(entry.second * weight);
    }
    to.ends.push_back(static_cast<std::int64_t>(to.indices.size()));
  }
}

}  // namespace

PathCheck check_paths(const Cpu& exec, const TomographyGrid& grid, const RayPaths& paths) {
  check_work(grid, paths, {}, {}, grid.size(), paths.n_rays());
  check_host(paths, {}, 0);
  const std::int64_t n = paths.n_rays(), parts = (n + rays_at_once - 1) / rays_at_once;
  std::vector<PathCheck> found(parts, PathCheck{-1, 0.0});
  const int ndim = grid.ndim;
  const auto check = [&](std::int64_t part) {
    PathCheck mine{-1, 0.0};
    for (std::int64_t ray = part * rays_at_once; ray < std::min(n, (part + 1) * rays_at_once); ++ray) {
      const double* before = nullptr;
      bool inside = true;
      for (std::int64_t node = paths.offsets(ray); node < paths.offsets(ray + 1); ++node) {
        const double* const point = paths.points.data + node * ndim;
        double squared = 0;
        for (int i = 0; i < ndim; ++i) {
          const double p = (point[i] - grid.origin[i]) / grid.spacing[i];
          inside = inside && p >= -1e-6 && p <= static_cast<double>(grid.shape[i] - 1) + 1e-6;
          if (before) squared += (point[i] - before[i]) * (point[i] - before[i]);
        }
        mine.total_length += std::sqrt(squared);
        before = point;
      }
      if (!inside && mine.outside < 0) mine.outside = ray;
    }
    found[part] = mine;
  };
  for_each(exec, parts, check);
  PathCheck all{-1, 0.0};
  for (const PathCheck& part : found) {
    if (all.outside < 0) all.outside = part.outside;
    all.total_length += part.total_length;
  }
  return all;
}

template <>
void travel_times(const Cpu& exec, const TomographyGrid& grid, const RayPaths& paths, View<const double, 1> weights,
                  View<const std::int32_t, 1> columns, View<const double, 1> x, View<double, 1> out) {
  check_work(grid, paths, weights, columns, x.shape[0], out.shape[0]);
  check_host(paths, columns, x.shape[0]);
  const Buffer c(grid.size() << grid.ndim);
  grid.ndim == 2 ? expand<2>(exec, grid, columns, x, c.data()) : expand<3>(exec, grid, columns, x, c.data());
  const Work work = work_of(grid, paths, weights);
  const auto some = [&](std::int64_t part) {
    const std::int64_t begin = part * rays_at_once, end = std::min(paths.n_rays(), begin + rays_at_once);
    SONORAY_DISPATCH(integrate_rays, work, c.data(), begin, end, out.data);
  };
  for_each(exec, (paths.n_rays() + rays_at_once - 1) / rays_at_once, some);
}

template <>
void travel_times_adjoint(const Cpu& exec, const TomographyGrid& grid, const RayPaths& paths, double total_length,
                          View<const double, 1> weights, View<const std::int32_t, 1> columns, View<const double, 1> y,
                          View<double, 1> out) {
  check_work(grid, paths, weights, columns, out.shape[0], y.shape[0]);
  check_host(paths, columns, out.shape[0]);
  const Work work = work_of(grid, paths, weights);
  const std::int64_t n = paths.n_rays(), numbers = grid.size() << grid.ndim;
  const std::int64_t parts = parts_of(grid, n, total_length);
  const std::int64_t at_once = std::min<std::int64_t>(parts, thread_count(exec));
  const Buffer total(numbers);
  std::vector<std::unique_ptr<Buffer>> images;
  for (std::int64_t k = 0; k < at_once; ++k) images.push_back(std::make_unique<Buffer>(numbers));
  for (std::int64_t first = 0; first < parts; first += at_once) {
    const std::int64_t now = std::min(at_once, parts - first);
    const auto spread = [&](std::int64_t k) {
      const std::int64_t part = first + k;
      std::memset(images[k]->data(), 0, numbers * sizeof(double));
      SONORAY_DISPATCH(spread_rays, work, y.data, n * part / parts, n * (part + 1) / parts, images[k]->data());
    };
    for_each(exec, now, spread);
    const auto add = [&](std::int64_t range) {  // the images in their order, whoever made them
      const std::int64_t begin = range * nodes_at_once, end = std::min(numbers, begin + nodes_at_once);
      double* const sum = total.data();
      if (first == 0) std::memset(sum + begin, 0, (end - begin) * sizeof(double));
      for (std::int64_t k = 0; k < now; ++k) {
        const double* const image = images[k]->data();
        for (std::int64_t i = begin; i < end; ++i) sum[i] += image[i];
      }
    };
    for_each(exec, (numbers + nodes_at_once - 1) / nodes_at_once, add);
  }
  grid.ndim == 2 ? contract<2>(exec, grid, columns, total.data(), out)
                 : contract<3>(exec, grid, columns, total.data(), out);
}

std::vector<MatrixRows> travel_time_matrix(const Cpu& exec, const TomographyGrid& grid, const RayPaths& paths,
                                           View<const double, 1> weights, View<const std::int32_t, 1> columns) {
  check_work(grid, paths, weights, columns, grid.size(), paths.n_rays());
  check_host(paths, columns, grid.size());
  const Work work = work_of(grid, paths, weights);
  const std::int64_t n = paths.n_rays(), parts = std::max<std::int64_t>(1, std::min<std::int64_t>(64, n / 64));
  std::vector<MatrixRows> rows(parts);
  const auto make = [&](std::int64_t k) {
    const std::int64_t begin = n * k / parts, end = n * (k + 1) / parts;
    grid.ndim == 2 ? matrix_rows<2>(work, columns, begin, end, rows[k])
                   : matrix_rows<3>(work, columns, begin, end, rows[k]);
  };
  for_each(exec, parts, make);
  return rows;
}

}  // namespace sonoray
