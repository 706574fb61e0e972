#include <cstdint>

#include "core/for_each.cuh"
#include "core/guard.cuh"
#include "core/scratch.cuh"
#include "inversion/tomography.h"
#include "inversion/tomography_checks.h"
#include "inversion/tomography_kernel.h"

// One warp per ray. Its lanes share the segments of a bent ray, or the steps of each segment of a nearly straight one.
// The forward sum has a fixed order; the adjoint adds 64-bit integers, which have none, to the moments of the cells.

namespace sonoray {
namespace {

using namespace tomography;

constexpr int warp = 32;
constexpr int block = 128;

struct Rays {
  TomographyGrid grid;
  const double* points;
  const std::int32_t* offsets;
  const double* weights;
  std::int64_t n;
};

/// Calls use(piece) for every piece of this lane's steps of one ray.
template <int D, class Use>
__device__ void walk(const Rays& rays, std::int64_t ray, int lane, const Use& use) {
  const std::int32_t first = rays.offsets[ray], segments = rays.offsets[ray + 1] - first - 1;
  const bool share_steps = segments < warp / 2;
  double cells[D], inverse[D];
  for (int i = 0; i < D; ++i) {
    cells[i] = double(rays.grid.shape[i] - 1);
    inverse[i] = 1 / rays.grid.spacing[i];
  }
  for (std::int32_t j = share_steps ? 0 : lane; j < segments; j += share_steps ? 1 : warp) {
    const double* const a = rays.points + (std::int64_t(first) + j) * D;
    double from[D], along[D], squared = 0, extent = 0;
    for (int i = 0; i < D; ++i) {
      from[i] = in_cells(a[i], rays.grid.origin[i], inverse[i], cells[i]);
      along[i] = in_cells(a[D + i], rays.grid.origin[i], inverse[i], cells[i]) - from[i];
      squared += along[i] * rays.grid.spacing[i] * along[i] * rays.grid.spacing[i];
      extent = larger(extent, larger(along[i], -along[i]));
    }
    const std::int32_t n = steps_of(extent);
    const double part = 1.0 / n;
    for (std::int32_t k = share_steps ? lane : 0; k < n; k += share_steps ? warp : 1) {
      Step<D, double> s;
      for (int i = 0; i < D; ++i) {
        s.along[i] = along[i] * part;
        s.from[i] = from[i] + s.along[i] * k;
      }
      s.length = sqrt(squared) * part;
      double ends[D + 2];
      split<D, double>(s, ends);
      for (int p = 0; p <= D; ++p) {
        if (ends[p] < ends[p + 1]) use(piece<D, double>(s, ends[p], ends[p + 1], cells));
      }
    }
  }
}

template <int D>
__global__ void integrate(Rays rays, const double* coefficients, double* out) {
  constexpr int n = 1 << D;
  const int lane = threadIdx.x % warp;
  const std::int64_t stride = std::int64_t(gridDim.x) * (block / warp);
  for (std::int64_t ray = (blockIdx.x * std::int64_t(block) + threadIdx.x) / warp; ray < rays.n; ray += stride) {
    double sum = 0;
    walk<D>(rays, ray, lane, [&](const Piece<D, double>& p) {
      double w[n];
      moments<D, double>(p, w);
      const double* const c = coefficients + std::int64_t(p.cell) * n;
      for (int m = 0; m < n; ++m) sum += w[m] * c[m];
    });
    for (int step = warp / 2; step; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
    if (lane == 0) out[ray] = sum * (rays.weights ? rays.weights[ray] : 1.0);
  }
}

/// The largest |value| as the bits of a double, which order like integers for numbers that are not negative.
__global__ void largest_value(Rays rays, const double* y, unsigned long long* bits) {
  const std::int64_t stride = std::int64_t(gridDim.x) * blockDim.x;
  double most = 0;
  for (std::int64_t ray = blockIdx.x * std::int64_t(blockDim.x) + threadIdx.x; ray < rays.n; ray += stride)
    most = fmax(most, fabs(y[ray] * (rays.weights ? rays.weights[ray] : 1.0)));
  for (int step = warp / 2; step; step /= 2) most = fmax(most, __shfl_xor_sync(0xffffffffu, most, step));
  if (threadIdx.x % warp == 0) atomicMax(bits, static_cast<unsigned long long>(__double_as_longlong(most)));
}

/// Units per [y m]: no sum of moments reaches 2^62 of them.
__device__ double units(const unsigned long long* bits, double total_length) {
  const double bound = __longlong_as_double(static_cast<long long>(*bits)) * total_length;
  return bound > 0 ? 4611686018427387904.0 / bound : 0.0;
}

template <int D>
__global__ void spread(Rays rays, double total_length, const double* y, const unsigned long long* bits,
                       unsigned long long* image) {
  constexpr int n = 1 << D;
  const int lane = threadIdx.x % warp;
  const double unit = units(bits, total_length);
  const std::int64_t stride = std::int64_t(gridDim.x) * (block / warp);
  for (std::int64_t ray = (blockIdx.x * std::int64_t(block) + threadIdx.x) / warp; ray < rays.n; ray += stride) {
    const double value = y[ray] * (rays.weights ? rays.weights[ray] : 1.0) * unit;
    if (value == 0) continue;
    walk<D>(rays, ray, lane, [&](const Piece<D, double>& p) {
      double w[n];
      moments<D, double>(p, w);
      unsigned long long* const to = image + std::int64_t(p.cell) * n;
      for (int m = 0; m < n; ++m) atomicAdd(to + m, static_cast<unsigned long long>(__double2ll_rn(value * w[m])));
    });
  }
}

/// A node's value to the coefficients of the cell that begins there.
template <int D>
struct Expand {
  TomographyGrid grid;
  const std::int32_t* columns;
  const double* x;
  double* coefficients;

  __device__ void operator()(std::int64_t node) const {
    std::int64_t index[D];
    unravel<D>(node, grid.shape, index);
    if (is_cell<D>(index, grid.shape)) cell_coefficients<D>(x, columns, node, grid.shape, coefficients + (node << D));
  }
};

/// The moments of the cells around a node to its value.
template <int D>
struct Contract {
  TomographyGrid grid;
  const std::int32_t* columns;
  double total_length;
  const unsigned long long *bits, *image;
  View<double, 1> out;

  __device__ void operator()(std::int64_t node) const {
    const std::int64_t column = columns ? columns[node] : node;
    if (column < 0 || column >= out.shape[0]) return;
    std::int64_t index[D];
    unravel<D>(node, grid.shape, index);
    const double unit = units(bits, total_length);
    const auto moment = [&](std::int64_t cell, int m) {
      return unit > 0 ? static_cast<double>(static_cast<long long>(image[(cell << D) + m])) / unit : 0.0;
    };
    out.data[column] = gather_moments<D>(moment, node, index, grid.shape);
  }
};

unsigned blocks_for(std::int64_t rays) {
  const std::int64_t blocks = (rays * warp + block - 1) / block;
  return unsigned(blocks < (1 << 20) ? blocks : (1 << 20));
}

}  // namespace

template <>
void travel_times(const Cuda& exec, const TomographyGrid& grid, const RayPaths& paths, View<const double, 1> weights,
                  View<const std::int32_t, 1> columns, View<const double, 1> x, View<double, 1> out) {
  check_work(grid, paths, weights, columns, x.shape[0], out.shape[0]);
  const Rays rays{grid, paths.points.data, paths.offsets.data, weights.data, paths.n_rays()};
  if (rays.n == 0) return;
  const DeviceGuard guard(exec.device);
  const Scratch<double> c(exec, grid.size() << grid.ndim);
  if (grid.ndim == 2) {
    for_each(exec, grid.size(), Expand<2>{grid, columns.data, x.data, c.data()});
    integrate<2><<<blocks_for(rays.n), block, 0, stream_of(exec)>>>(rays, c.data(), out.data);
  } else {
    for_each(exec, grid.size(), Expand<3>{grid, columns.data, x.data, c.data()});
    integrate<3><<<blocks_for(rays.n), block, 0, stream_of(exec)>>>(rays, c.data(), out.data);
  }
  check(cudaGetLastError(), "travel times");
}

template <>
void travel_times_adjoint(const Cuda& exec, const TomographyGrid& grid, const RayPaths& paths, double total_length,
                          View<const double, 1> weights, View<const std::int32_t, 1> columns, View<const double, 1> y,
                          View<double, 1> out) {
  check_work(grid, paths, weights, columns, out.shape[0], y.shape[0]);
  const Rays rays{grid, paths.points.data, paths.offsets.data, weights.data, paths.n_rays()};
  const DeviceGuard guard(exec.device);
  const std::int64_t numbers = grid.size() << grid.ndim;
  const Scratch<unsigned long long> image(exec, numbers + 1);  // the last one: the largest value
  unsigned long long* const bits = image.data() + numbers;
  check(cudaMemsetAsync(image.data(), 0, (numbers + 1) * sizeof(unsigned long long), stream_of(exec)), "clearing");
  if (rays.n > 0) {
    largest_value<<<blocks_for((rays.n + warp - 1) / warp), block, 0, stream_of(exec)>>>(rays, y.data, bits);
    if (grid.ndim == 2)
      spread<2><<<blocks_for(rays.n), block, 0, stream_of(exec)>>>(rays, total_length, y.data, bits, image.data());
    else
      spread<3><<<blocks_for(rays.n), block, 0, stream_of(exec)>>>(rays, total_length, y.data, bits, image.data());
    check(cudaGetLastError(), "spreading times");
  }
  if (grid.ndim == 2)
    for_each(exec, grid.size(), Contract<2>{grid, columns.data, total_length, bits, image.data(), out});
  else
    for_each(exec, grid.size(), Contract<3>{grid, columns.data, total_length, bits, image.data(), out});
}

}  // namespace sonoray
