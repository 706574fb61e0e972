#include <algorithm>
#include <vector>

#include "core/for_each.cuh"
#include "core/guard.cuh"
#include "core/scratch.cuh"
#include "rays/eikonal.cuh"
#include "rays/eikonal.h"
#include "rays/eikonal_checks.h"
#include "rays/eikonal_kernel.h"

// One block per source. Both passes are those of the host (eikonal_sweep.cpp), without its tiles and windows: a block
// sweeps all nodes until none changes.

namespace sonoray {
namespace {

using namespace eikonal;

/// What a source's block needs besides the field: scaled position and slope as in eikonal_sweep.h.
struct Source {
  float position[3], slope[3];
  double cell[3];
};

/// Fills one padded field: unreached, then the straight rays around a point source.
__global__ void start_points(Field f, Source* sources, float* v, double reach) {
  Source& source = sources[blockIdx.x];
  float* const field = v + blockIdx.x * f.nodes;
  for (std::int64_t k = threadIdx.x; k < f.nodes; k += blockDim.x) field[k] = unreached;
  __syncthreads();
  const double s0 = sample(f.grid, f.slowness, source.cell);
  if (threadIdx.x == 0) source.slope[0] = float(s0 / f.unit);
  std::int64_t low[3] = {}, count[3] = {1, 1, 1};
  for (int i = 0; i < f.grid.ndim; ++i) {
    const double cells = reach / f.grid.spacing[i];
    const double first = ceil(source.cell[i] - cells), last = floor(source.cell[i] + cells);
    low[i] = first < 0 ? 0 : std::int64_t(first);
    count[i] = (last > f.grid.shape[i] - 1 ? f.grid.shape[i] - 1 : std::int64_t(last)) - low[i] + 1;
  }
  for (std::int64_t k = threadIdx.x; k < count[0] * count[1] * count[2]; k += blockDim.x) {
    const std::int64_t at[3] = {low[0] + k / (count[1] * count[2]), low[1] + k / count[2] % count[1],
                                low[2] + k % count[2]};
    field[f.node(at)] = given(float((straight_mean(f.grid, f.slowness, source.cell, at) - s0) / f.unit));
  }
}

/// Fills one padded field from given times, taking the reference out; the inverse, adding it, with `back`.
__global__ void exchange(Field f, const Source* sources, float* v, float* out, bool point, bool mean, bool back) {
  const Source& source = sources[blockIdx.y];
  float* const field = v + blockIdx.y * f.nodes;
  const std::int64_t size = f.grid.size();
  float* const mine = out + blockIdx.y * size;
  const std::int64_t stride = std::int64_t(gridDim.x) * blockDim.x;
  for (std::int64_t k = blockIdx.x * std::int64_t(blockDim.x) + threadIdx.x; k < size; k += stride) {
    std::int64_t index[3] = {}, rest = k;
    float reference = 0, r2 = 0;
    for (int i = f.grid.ndim - 1; i >= 0; --i) {
      index[i] = rest % f.grid.shape[i];
      rest /= f.grid.shape[i];
      const float d = index[i] * f.h[i] - source.position[i];
      reference += d * source.slope[i];
      r2 += d * d;
    }
    float& node = field[f.node(index)];
    if (!back) {
      node = isnan(mine[k]) ? unreached : given(float(mine[k] / (f.unit * f.length)) - reference);
    } else if (point) {
      mine[k] = float(f.unit * (mean ? 1.0 : f.length)) * (source.slope[0] + node) * (mean ? 1.0f : sqrtf(r2));
    } else {
      mine[k] = float(f.unit * f.length) * (reference + node);
    }
  }
}

__global__ void fill(std::int64_t n, float value, float* to) {
  const std::int64_t stride = std::int64_t(gridDim.x) * blockDim.x;
  for (std::int64_t k = blockIdx.x * std::int64_t(blockDim.x) + threadIdx.x; k < n; k += stride) to[k] = value;
}

/// One node in sweep q; whether it changed by more than the tolerance.
template <int D, bool point, bool second>
__device__ bool update(const Field& f, const Source& source, float* field, int q, const std::int64_t* index,
                       float tolerance) {
  float along[D], slope[D], scale = point ? 0.0f : 1.0f;
  std::int64_t medium = 0;
  for (int i = 0; i < D; ++i) {
    const float sign = (q >> i & 1) ? -1.0f : 1.0f;
    medium = medium * f.grid.shape[i] + index[i];
    if (point) {
      const float d = index[i] * f.h[i] - source.position[i];
      scale += d * d;
      along[i] = d * sign;
      slope[i] = along[i] * source.slope[0];
    } else {
      along[i] = 0.0f;
      slope[i] = sign * source.slope[i];
    }
  }
  const float s = float(f.slowness[medium] / f.unit), bound = scale * s * s;
  const std::int64_t node = f.node(index);
  const float old = field[node];
  if (is_given(old)) return false;
  Upwind<float> axis[D];
  bool member = true;
  for (int i = 0; i < D; ++i) {
    const std::int64_t step = (q >> i & 1) ? -f.stride[i] : f.stride[i];
    const float k = scale / f.h[i], up1 = field[node - step];
    if (second) {
      const float lean = slope[i] + along[i] * old, rate = central(k, lean, up1, field[node + step]);
      member = member && rate * fabsf(rate) >= -tie * bound;
      axis[i] = second_order(k, along[i], lean, up1 - old, field[node - 2 * step] - old, bound);
    } else {
      axis[i] = second_order(k, along[i], slope[i], up1, field[node - 2 * step], bound);
    }
  }
  float value = godunov(axis, bound);
  if (second) value += old;
  if (second ? !member : !(value < old)) return false;
  field[node] = not_given(value);
  return fabsf(value - old) > tolerance;
}

template <int D, bool point, bool second>
__device__ void iterate(const Field& f, const Source& source, float* field) {
  float tolerance = second ? second_tolerance : first_tolerance;
  for (int round = 0; round < f.max_rounds; ++round) {
    bool changed = false;
    for (int q = 0; q < (1 << D); ++q)
      changed |= sweep_nodes<D>(f.grid, q, [&](const std::int64_t* at) {
        return update<D, point, second>(f, source, field, q, at, tolerance);
      });
    if (!__syncthreads_or(changed)) break;
    if (second) tolerance = fminf(2.0f * tolerance, largest_tolerance);
  }
}

template <int D, bool point>
__global__ void __launch_bounds__(512) sweep(Field f, const Source* sources, float* v) {
  float* const field = v + blockIdx.x * f.nodes;
  iterate<D, point, false>(f, sources[blockIdx.x], field);
  iterate<D, point, true>(f, sources[blockIdx.x], field);
}

/// Sources in batches that bound the scratch; `points` are positions [m] or, for fronts, reference slowness [s/m].
template <bool point>
void solve(const Cuda& exec, const EikonalGrid& grid, const EikonalParams& params, View<const float, 1> slowness,
           View<const double, 2> points, bool mean, View<float, 2> out) {
  if (out.shape[0] == 0) return;
  const DeviceGuard guard(exec.device);
  const cudaStream_t stream = stream_of(exec);
  const Field f = make_field(grid, params, slowness.data);
  constexpr std::int64_t most_bytes = std::int64_t(4) << 30;
  if (out.shape[0] == 0) return;
  const std::int64_t fit = std::max<std::int64_t>(most_bytes / std::int64_t(f.nodes * sizeof(float)), 1);
  const std::int64_t batch = std::min<std::int64_t>({fit, out.shape[0], 65535});  // a launch has so many blocks along y
  Scratch<float> v(exec, batch * f.nodes);
  Scratch<Source> sources(exec, batch);
  std::vector<Source> host(batch);
  const double reach = start_reach * *std::max_element(grid.spacing, grid.spacing + grid.ndim);
  for (std::int64_t first = 0; first < out.shape[0]; first += batch) {
    const unsigned n = unsigned(std::min(batch, out.shape[0] - first));
    for (unsigned k = 0; k < n; ++k) {
      host[k] = Source{};
      for (int i = 0; i < grid.ndim; ++i) {
        const double x = points(first + k, grid.ndim == 2 && i == 1 ? 2 : i);
        if (point) {
          host[k].cell[i] = std::clamp((x - grid.origin[i]) / grid.spacing[i], 0.0, double(grid.shape[i] - 1));
          host[k].position[i] = float(host[k].cell[i] * grid.spacing[i] / f.length);
        } else {
          host[k].slope[i] = float(x / f.unit);
        }
      }
    }
    // Pageable memory is staged before the call returns, so `host` may change afterwards.
    check(cudaMemcpyAsync(sources.data(), host.data(), n * sizeof(Source), cudaMemcpyHostToDevice, stream),
          "cudaMemcpyAsync");
    float* const to = out.data + first * out.shape[1];
    const dim3 many(unsigned(std::min<std::int64_t>((grid.size() + 255) / 256, 1024)), n);
    if (point) {
      start_points<<<n, 512, 0, stream>>>(f, sources.data(), v.data(), reach);
    } else {
      fill<<<1024, 256, 0, stream>>>(n * f.nodes, unreached, v.data());
      exchange<<<many, 256, 0, stream>>>(f, sources.data(), v.data(), to, point, mean, false);
    }
    if (grid.ndim == 2)
      sweep<2, point><<<n, 512, 0, stream>>>(f, sources.data(), v.data());
    else
      sweep<3, point><<<n, 512, 0, stream>>>(f, sources.data(), v.data());
    exchange<<<many, 256, 0, stream>>>(f, sources.data(), v.data(), to, point, mean, true);
    check(cudaGetLastError(), "kernel launch");
  }
}

}  // namespace

template <>
void eikonal_points(const Cuda& exec, const EikonalGrid& grid, const EikonalParams& params,
                    View<const float, 1> slowness, View<const double, 2> sources, bool mean_slowness,
                    View<float, 2> out) {
  check_grid(grid, params, slowness.size());
  check_sources(grid, sources);
  require(out.shape[0] == sources.shape[0] && out.shape[1] == grid.size(), "out: expected (sources, nodes)");
  solve<true>(exec, grid, params, slowness, sources, mean_slowness, out);
}

template <>
void eikonal_fronts(const Cuda& exec, const EikonalGrid& grid, const EikonalParams& params,
                    View<const float, 1> slowness, View<const double, 2> reference, View<float, 2> times) {
  check_grid(grid, params, slowness.size());
  check_reference(reference, params);
  require(times.shape[0] == reference.shape[0] && times.shape[1] == grid.size(), "times: expected (fronts, nodes)");
  solve<false>(exec, grid, params, slowness, reference, false, times);
}

}  // namespace sonoray
