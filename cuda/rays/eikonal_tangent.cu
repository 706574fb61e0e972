#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/for_each.cuh"
#include "core/guard.cuh"
#include "core/scratch.cuh"
#include "rays/eikonal.cuh"
#include "rays/eikonal.h"
#include "rays/eikonal_checks.h"
#include "rays/eikonal_kernel.h"

// The linearised scheme is stored, node by node; then one block per source sweeps until nothing changes. Against the
// waves, too, a node collects what others pass to it, so that every sum has a fixed order.

namespace sonoray {
namespace {

using namespace eikonal;

constexpr int block = 512;

/// A source: `cell` and the box of given nodes come from the host, the rest is sampled on the device.
struct Origin {
  double cell[3], s0, change;  // s0 and its change [s/m]
  float position[3];
  std::int64_t low[3], high[3];
};

/// Per source, one padded field each. `way` bit i: the wave comes from above along axis i.
struct Fields {
  float *v, *value, *own, *source, *near[3], *far[3];
  std::uint8_t* way;
};

__device__ Fields of_source(Fields all, const Field& f, std::int64_t k) {
  const std::int64_t first = k * f.nodes;
  all.v += first, all.value += first, all.own += first, all.source += first, all.way += first;
  for (int i = 0; i < f.grid.ndim; ++i) all.near[i] += first, all.far[i] += first;
  return all;
}

/// Indices of a node of the padded field, and whether it is one of the grid.
__device__ bool inside(const Field& f, std::int64_t node, std::int64_t* index) {
  bool in = true;
  for (int i = f.grid.ndim - 1; i >= 0; --i) {
    index[i] = node % (f.grid.shape[i] + 4) - 2;
    node /= f.grid.shape[i] + 4;
    in = in && index[i] >= 0 && index[i] < f.grid.shape[i];
  }
  return in;
}

__device__ std::int64_t in_memory(const Field& f, const std::int64_t* index) {
  std::int64_t k = 0;
  for (int i = 0; i < f.grid.ndim; ++i) k = k * f.grid.shape[i] + index[i];
  return k;
}

__device__ float distance(const Field& f, const Origin& origin, const std::int64_t* index) {
  float sum = 0;
  for (int i = 0; i < f.grid.ndim; ++i) {
    const float d = index[i] * f.h[i] - origin.position[i];
    sum += d * d;
  }
  return sqrtf(sum);
}

__device__ bool is_start(const Field& f, const Origin& origin, const std::int64_t* index) {
  for (int i = 0; i < f.grid.ndim; ++i)
    if (index[i] < origin.low[i] || index[i] > origin.high[i]) return false;
  return true;
}

/// Block-wide sum or maximum of each thread's number, in a fixed order.
template <bool largest>
__device__ double over_block(double mine) {
  __shared__ double part[block];
  __syncthreads();
  part[threadIdx.x] = mine;
  for (int half = block / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) {
      const double other = part[threadIdx.x + half];
      part[threadIdx.x] = largest ? fmax(part[threadIdx.x], other) : part[threadIdx.x] + other;
    }
  }
  __syncthreads();
  return part[0];
}

__global__ void sample_origins(Field f, int n, const float* change, Origin* origins) {
  const int k = blockIdx.x * blockDim.x + threadIdx.x;
  if (k >= n) return;
  origins[k].s0 = sample(f.grid, f.slowness, origins[k].cell);
  origins[k].change = change ? sample(f.grid, change, origins[k].cell) : 0.0;
}

/// v from the mean slowness, unreached around the grid.
__global__ void load_solution(Field f, const Origin* origins, const float* solution, Fields all) {
  const Origin& origin = origins[blockIdx.y];
  const Fields mine = of_source(all, f, blockIdx.y);
  const std::int64_t stride = std::int64_t(gridDim.x) * blockDim.x;
  for (std::int64_t k = blockIdx.x * std::int64_t(blockDim.x) + threadIdx.x; k < f.nodes; k += stride) {
    std::int64_t at[3] = {};
    float v = unreached;
    if (inside(f, k, at)) {
      if (is_start(f, origin, at))
        v = given(float((straight_mean(f.grid, f.slowness, origin.cell, at) - origin.s0) / f.unit));
      else
        v = not_given(float((solution[blockIdx.y * f.grid.size() + in_memory(f, at)] - origin.s0) / f.unit));
    }
    mine.v[k] = v;
  }
}

/// The scheme at every node, as the host sees it in the sweep that brings the node's wave.
template <int D>
__global__ void store_tangents(Field f, const Origin* origins, Fields all) {
  const Origin& origin = origins[blockIdx.y];
  const Fields mine = of_source(all, f, blockIdx.y);
  const float s0 = float(origin.s0 / f.unit);
  const std::int64_t stride = std::int64_t(gridDim.x) * blockDim.x;
  for (std::int64_t node = blockIdx.x * std::int64_t(blockDim.x) + threadIdx.x; node < f.nodes; node += stride) {
    std::int64_t at[3] = {};
    const float v = mine.v[node];
    Tangent<D, float> tangent{};
    unsigned way = 0;
    if (inside(f, node, at) && !is_given(v)) {
      const float r = distance(f, origin, at), s = float(f.slowness[in_memory(f, at)] / f.unit);
      const float scale = r * r, bound = scale * s * s;
      Upwind<float> axis[D];
      float k[D], along[D];
      bool in[D];
      for (int i = 0; i < D; ++i) {
        const float d = at[i] * f.h[i] - origin.position[i], up = d * s0 + d * v;
        k[i] = scale / f.h[i];
        const float rate = central(k[i], up, mine.v[node - f.stride[i]], mine.v[node + f.stride[i]]);
        const bool back = rate < 0.0f;
        if (back) way |= 1u << i;
        const std::int64_t step = back ? -f.stride[i] : f.stride[i];
        along[i] = back ? -d : d;
        in[i] = rate * rate > tie * bound;
        axis[i] =
            second_order(k[i], along[i], back ? -up : up, mine.v[node - step] - v, mine.v[node - 2 * step] - v, bound);
      }
      tangent = linearise<D>(axis, k, along, in);
    }
    mine.way[node] = std::uint8_t(way);
    mine.own[node] = tangent.own;
    mine.source[node] = tangent.source;
    mine.value[node] = 0.0f;
    for (int i = 0; i < D; ++i) {
      mine.near[i][node] = tangent.near[i];
      mine.far[i][node] = tangent.far[i];
    }
  }
}

/// What a node has and collects from those whose wave comes from it.
template <int D>
__device__ float collect(const Field& f, const Fields& mine, std::int64_t node, float value) {
  for (int i = 0; i < D; ++i)
    for (int back = 0; back < 2; ++back) {
      const std::int64_t near = node + (back ? -f.stride[i] : f.stride[i]), far = 2 * near - node;
      if ((mine.way[near] >> i & 1) == back) value += mine.near[i][near] * mine.value[near];
      if ((mine.way[far] >> i & 1) == back) value += mine.far[i][far] * mine.value[far];
    }
  return value;
}

template <int D>
__global__ void __launch_bounds__(block)
    push(Field f, const Origin* origins, const float* cotangent, bool mean, Fields all, double* image) {
  const Origin& origin = origins[blockIdx.x];
  const Fields mine = of_source(all, f, blockIdx.x);
  const float* const from = cotangent + blockIdx.x * f.grid.size();
  const std::int64_t size = f.grid.size();
  double most = 0;
  for (std::int64_t k = threadIdx.x; k < size; k += block) most = fmax(most, fabs(double(from[k])));
  const float tolerance = float(over_block<true>(most)) * negligible_rest;
  const auto own = [&](const std::int64_t* at) {
    return from[in_memory(f, at)] * (mean ? 1.0f : distance(f, origin, at));
  };
  for (int round = 0; round < f.max_rounds; ++round) {
    bool changed = false;
    for (int q = 0; q < (1 << D); ++q)
      changed |= sweep_nodes<D>(f.grid, q, [&](const std::int64_t* at) {
        const std::int64_t node = f.node(at);
        const float old = mine.value[node], value = collect<D>(f, mine, node, own(at));
        mine.value[node] = value;
        return fabsf(value - old) > tolerance;
      });
    if (!__syncthreads_or(changed)) break;
  }
  // What is left is the change of s0 and that of the straight rays.
  double left = 0;
  const auto add = [&](const double* at, double weight) {
    for_each_corner(f.grid, at, [&](std::int64_t node, double part) {
      atomicAdd(image + node, weight * part * f.slowness[node] / f.unit);
    });
  };
  for (std::int64_t k = threadIdx.x; k < f.nodes; k += block) {
    std::int64_t at[3] = {};
    if (!inside(f, k, at)) continue;
    left += own(at) + double(mine.source[k]) * mine.value[k];
    if (!is_given(mine.v[k])) continue;
    left -= mine.value[k];
    const double weight = double(mine.value[k]) / straight_parts;
    for_each_part(f.grid, origin.cell, at, [&](const double* p) { add(p, weight); });
  }
  left = over_block<false>(left);
  if (threadIdx.x == 0) add(origin.cell, left);
}

/// Adds what relative changes of the slowness do to a node, source by source.
__global__ void add_own(Field f, int n, Fields all, double* image) {
  const std::int64_t stride = std::int64_t(gridDim.x) * blockDim.x;
  for (std::int64_t node = blockIdx.x * std::int64_t(blockDim.x) + threadIdx.x; node < f.nodes; node += stride) {
    std::int64_t at[3] = {};
    if (!inside(f, node, at)) continue;
    double sum = 0;
    for (std::int64_t k = 0; k < n; ++k) sum += double(all.own[k * f.nodes + node]) * all.value[k * f.nodes + node];
    image[in_memory(f, at)] += sum;
  }
}

template <int D>
__global__ void __launch_bounds__(block)
    carry(Field f, const Origin* origins, const float* change, bool mean, Fields all, float* out) {
  const Origin& origin = origins[blockIdx.x];
  const Fields mine = of_source(all, f, blockIdx.x);
  float* const to = out + blockIdx.x * f.grid.size();
  const std::int64_t size = f.grid.size();
  const float source = float(origin.change / f.unit);
  double most = 0;
  for (std::int64_t k = threadIdx.x; k < size; k += block) most = fmax(most, fabs(double(change[k]) / f.slowness[k]));
  const float tolerance = float(over_block<true>(most)) * negligible_change;
  for (std::int64_t k = threadIdx.x; k < f.nodes; k += block) {
    std::int64_t at[3] = {};
    if (!inside(f, k, at) || !is_given(mine.v[k])) continue;
    mine.value[k] = float((straight_mean(f.grid, change, origin.cell, at) - origin.change) / f.unit);
  }
  __syncthreads();
  for (int round = 0; round < f.max_rounds; ++round) {
    bool changed = false;
    for (int q = 0; q < (1 << D); ++q)
      changed |= sweep_nodes<D>(f.grid, q, [&](const std::int64_t* at) {
        const std::int64_t node = f.node(at), k = in_memory(f, at);
        if (is_given(mine.v[node])) return false;
        float value = mine.own[node] * (change[k] / f.slowness[k]) + mine.source[node] * source;
        for (int i = 0; i < D; ++i) {
          const std::int64_t step = (mine.way[node] >> i & 1) ? -f.stride[i] : f.stride[i];
          value += mine.near[i][node] * mine.value[node - step] + mine.far[i][node] * mine.value[node - 2 * step];
        }
        const float old = mine.value[node];
        mine.value[node] = value;
        return fabsf(value - old) > tolerance;
      });
    if (!__syncthreads_or(changed)) break;
  }
  for (std::int64_t k = threadIdx.x; k < f.nodes; k += block) {
    std::int64_t at[3] = {};
    if (!inside(f, k, at)) continue;
    const float r = mean ? 1.0f : distance(f, origin, at);
    to[in_memory(f, at)] = float(f.unit * (mean ? 1.0 : f.length)) * (source + mine.value[k]) * r;
  }
}

/// Calls work(field, number of sources, first source, origins, fields) for batches of sources whose scheme is stored.
template <class F>
void for_each_batch(const Cuda& exec, const EikonalGrid& grid, const EikonalParams& params,
                    View<const float, 1> slowness, View<const double, 2> sources, View<const float, 2> solution,
                    const float* change, const F& work) {
  const cudaStream_t stream = stream_of(exec);
  const Field f = make_field(grid, params, slowness.data);
  const std::int64_t n = sources.shape[0], floats = 4 + 2 * grid.ndim;
  constexpr std::int64_t most_bytes = std::int64_t(4) << 30;
  const std::int64_t each = f.nodes * (4 * floats + 1) + 4 * grid.size();
  const std::int64_t batch = std::min<std::int64_t>({std::max<std::int64_t>(most_bytes / each, 1), n, 65535});
  Scratch<float> memory(exec, batch * f.nodes * floats), solved(exec, solution ? 0 : batch * grid.size());
  Scratch<std::uint8_t> way(exec, batch * f.nodes);
  Scratch<Origin> origins(exec, batch);
  Fields all{};
  float** const parts[4] = {&all.v, &all.value, &all.own, &all.source};
  for (int i = 0; i < 4; ++i) *parts[i] = memory.data() + i * batch * f.nodes;
  for (int i = 0; i < grid.ndim; ++i) {
    all.near[i] = memory.data() + (4 + i) * batch * f.nodes;
    all.far[i] = memory.data() + (4 + grid.ndim + i) * batch * f.nodes;
  }
  all.way = way.data();
  const double reach = start_reach * *std::max_element(grid.spacing, grid.spacing + grid.ndim);
  std::vector<Origin> host(batch);
  for (std::int64_t first = 0; first < n; first += batch) {
    const unsigned count = unsigned(std::min(batch, n - first));
    const View<const double, 2> some{sources.data + first * 3, {count, 3}};
    for (unsigned k = 0; k < count; ++k) {
      host[k] = Origin{};
      for (int i = 0; i < grid.ndim; ++i) {
        const double x = some(k, grid.ndim == 2 && i == 1 ? 2 : i), cells = reach / grid.spacing[i];
        const double at = std::clamp((x - grid.origin[i]) / grid.spacing[i], 0.0, double(grid.shape[i] - 1));
        host[k].cell[i] = at;
        host[k].position[i] = float(at * grid.spacing[i] / f.length);
        host[k].low[i] = std::max<std::int64_t>(0, std::int64_t(std::ceil(at - cells)));
        host[k].high[i] = std::min<std::int64_t>(grid.shape[i] - 1, std::int64_t(std::floor(at + cells)));
      }
    }
    // Pageable memory is staged before the call returns, so `host` may change afterwards.
    check(cudaMemcpyAsync(origins.data(), host.data(), count * sizeof(Origin), cudaMemcpyHostToDevice, stream),
          "cudaMemcpyAsync");
    const float* known = solution.data + first * grid.size();
    if (!solution) {
      eikonal_points(exec, grid, params, slowness, some, true,
                     View<float, 2>{solved.data(), {std::int64_t(count), grid.size()}});
      known = solved.data();
    }
    sample_origins<<<(count + 127) / 128, 128, 0, stream>>>(f, int(count), change, origins.data());
    const dim3 many(unsigned(std::min<std::int64_t>((f.nodes + 255) / 256, 1024)), count);
    load_solution<<<many, 256, 0, stream>>>(f, origins.data(), known, all);
    if (grid.ndim == 2)
      store_tangents<2><<<many, 256, 0, stream>>>(f, origins.data(), all);
    else
      store_tangents<3><<<many, 256, 0, stream>>>(f, origins.data(), all);
    work(f, count, first, origins.data(), all);
    check(cudaGetLastError(), "kernel launch");
  }
}

/// From what relative changes do, in scaled units, to the gradient.
struct Rescale {
  const float* slowness;
  double scale;
  double* out;
  __device__ void operator()(std::int64_t node) const { out[node] *= scale / slowness[node]; }
};

}  // namespace

template <>
void eikonal_gradient(const Cuda& exec, const EikonalGrid& grid, const EikonalParams& params,
                      View<const float, 1> slowness, View<const double, 2> sources, bool mean_slowness,
                      View<const float, 2> solution, View<const float, 2> cotangent, View<double, 1> out) {
  check_gradient(grid, params, slowness, sources, solution, cotangent, out);
  const DeviceGuard guard(exec.device);
  const cudaStream_t stream = stream_of(exec);
  check(cudaMemsetAsync(out.data, 0, out.size() * sizeof(double), stream), "clearing");
  if (sources.shape[0] == 0) return;
  for_each_batch(exec, grid, params, slowness, sources, solution, nullptr,
                 [&](const Field& f, unsigned n, std::int64_t first, const Origin* origins, const Fields& all) {
                   const float* const from = cotangent.data + first * grid.size();
                   if (grid.ndim == 2)
                     push<2><<<n, block, 0, stream>>>(f, origins, from, mean_slowness, all, out.data);
                   else
                     push<3><<<n, block, 0, stream>>>(f, origins, from, mean_slowness, all, out.data);
                   add_own<<<unsigned((f.nodes + 255) / 256), 256, 0, stream>>>(f, int(n), all, out.data);
                 });
  const double scale = params.max_slowness * (mean_slowness ? 1.0 : diagonal(grid));
  for_each(exec, grid.size(), Rescale{slowness.data, scale, out.data});
}

template <>
void eikonal_derivative(const Cuda& exec, const EikonalGrid& grid, const EikonalParams& params,
                        View<const float, 1> slowness, View<const double, 2> sources, bool mean_slowness,
                        View<const float, 2> solution, View<const float, 1> change, View<float, 2> out) {
  check_derivative(grid, params, slowness, sources, solution, change, out);
  if (sources.shape[0] == 0) return;
  const DeviceGuard guard(exec.device);
  const cudaStream_t stream = stream_of(exec);
  for_each_batch(exec, grid, params, slowness, sources, solution, change.data,
                 [&](const Field& f, unsigned n, std::int64_t first, const Origin* origins, const Fields& all) {
                   float* const to = out.data + first * grid.size();
                   if (grid.ndim == 2)
                     carry<2><<<n, block, 0, stream>>>(f, origins, change.data, mean_slowness, all, to);
                   else
                     carry<3><<<n, block, 0, stream>>>(f, origins, change.data, mean_slowness, all, to);
                 });
}

}  // namespace sonoray
