#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/guard.cuh"
#include "core/scratch.cuh"
#include "rays/greens.h"
#include "rays/greens_plan.h"

// Sectors of fans in rounds: one thread per ray, then one per cell of the mesh, which offers its values to the points
// in it and, once all have, writes where it was the earliest. Sectors whose rays part too far come again in halves.

namespace sonoray::greens {
namespace {

constexpr int block = 128, columns = sector + 1;
constexpr std::int64_t most_sectors = 1024, most_bytes = 512 << 20;  // of nodes, at a time
constexpr std::int64_t most_keys = 32 * 1024 * 1024;                 // points x sources at a time
constexpr unsigned long long unreached = ~0ull;

struct Part {
  std::int32_t source, number, level;
};

struct Work {
  Plan plan;
  const Fan* fans;
  const Part* parts;
  std::int32_t n_parts;
  Node* nodes;               ///< (part, ring, column)
  std::int32_t* last;        ///< (part, column)
  std::int32_t* parted;      ///< (part)
  unsigned long long* keys;  ///< (source of the batch, point): excess in the order of unsigned numbers, then the cell
  std::int64_t first;        ///< source of the batch
  int* any_caustic;
  const double* points;
  View<float, 2> excess, focusing, take_off, arrival, absorption;
  View<std::uint8_t, 2> caustics;
  double speed;
};

template <bool plain>
__global__ void __launch_bounds__(block) trace_kernel(Work w) {
  const std::int64_t i = std::int64_t(blockIdx.x) * block + threadIdx.x;
  if (i >= std::int64_t(w.n_parts) * columns) return;
  const int part = int(i / columns), column = int(i % columns);
  const Part p = w.parts[part];
  const double widest = p.level < most_halvings ? most_parted * w.plan.width : 1e300;
  bool parted = false;
  trace_fan<double, plain>(w.plan, refined(w.fans[p.source], p.level), p.number * sector + column, 1,
                           w.nodes + std::int64_t(part) * w.plan.rings * columns, columns, column,
                           w.last + part * columns, widest, parted);
  if (parted) atomicOr(&w.parted[part], 1);
}

/// Numbers in the same order as the floats.
__device__ unsigned ordered(float x) {
  const unsigned bits = __float_as_uint(x);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

template <bool write>
__global__ void __launch_bounds__(block) raster_kernel(Work w) {
  const std::int64_t cells = std::int64_t(w.plan.rings) * sector;
  const std::int64_t item = std::int64_t(blockIdx.x) * block + threadIdx.x;
  const int part = int(item / cells), cell = int(item % cells), j = cell / sector, i = cell % sector;
  if (part >= w.n_parts || j < 1 || w.parted[part]) return;
  const Part p = w.parts[part];
  const Fan fan = refined(w.fans[p.source], p.level);
  const int apart = interval(w.plan, fan, j);
  if (i % apart != 0) return;
  Triangle triangles[3];
  const int n = triangles_of(w.nodes + std::int64_t(part) * w.plan.rings * columns, columns, w.last + part * columns, j,
                             i, apart, interval(w.plan, fan, j + 1), triangles);
  if (n == 0) return;
  const Buckets& buckets = w.plan.buckets;
  unsigned long long* const keys = w.keys + (p.source - w.first) * buckets.n_points;
  const Window window = window_of(buckets, triangles, n);
  for (int row = window.first[0]; row <= window.last[0]; ++row) {
    const std::int32_t* const start = buckets.start + std::int64_t(row) * buckets.n[1];
    for (std::int32_t k = start[window.first[1]]; k < start[window.last[1] + 1]; ++k)
      for (int t = 0; t < n; ++t) {
        float wb, wc, sum[quantities];
        if (!triangles[t].holds(buckets.x[k], buckets.z[k], wb, wc)) continue;
        triangles[t].at(buckets.x[k], buckets.z[k], wb, wc, sum);
        const std::int64_t name = (std::int64_t(part) * cells + cell) * 3 + t;  // of equals one must be chosen
        const unsigned long long key = (static_cast<unsigned long long>(ordered(sum[excess])) << 32) |
                                       (static_cast<unsigned long long>(name) & 0xffffffffull);
        if (!write) {
          atomicMin(&keys[k], key);
          continue;
        }
        if (keys[k] != key) continue;
        const std::int64_t at = std::int64_t(buckets.original[k]) * w.excess.shape[1] + p.source;
        w.excess.data[at] = sum[excess];
        w.focusing.data[at] = sum[tube];
        w.take_off.data[at] = sum[take_off];
        w.arrival.data[at] = sum[arrival];
        if (w.absorption) w.absorption.data[at] = sum[absorbed];
        const float passed = triangles[t].passed(wb, wc);
        w.caustics.data[at] = static_cast<std::uint8_t>(passed < 255 ? passed : 255.0f);
      }
  }
}

/// Straight lines near the sources; units.
__global__ void __launch_bounds__(block) finish_kernel(Work w, std::int64_t n_sources) {
  const std::int64_t item = std::int64_t(blockIdx.x) * block + threadIdx.x;
  if (item >= n_sources * w.plan.buckets.n_points) return;
  const std::int64_t s = w.first + item % n_sources, k = item / n_sources, i = w.plan.buckets.original[k];
  const std::int64_t at = i * w.excess.shape[1] + s;
  bool reached = w.keys[(s - w.first) * w.plan.buckets.n_points + k] != unreached;
  const Fan& fan = w.fans[s];
  Record record;
  float gathered = 0;
  const double dx = w.points[2 * i] - fan.x[0], dz = w.points[2 * i + 1] - fan.x[1], r = sqrt(dx * dx + dz * dz);
  if (r <= w.plan.near) {
    straight(w.plan, fan, w.points + 2 * i, r, record, w.absorption ? &gathered : nullptr);
    reached = r >= 1e-9;
    w.caustics.data[at] = 0;
  } else if (reached) {
    record = {{w.excess.data[at], w.focusing.data[at], w.take_off.data[at], w.arrival.data[at]}};
    if (w.absorption) gathered = w.absorption.data[at];
    if (w.caustics.data[at]) *w.any_caustic = 1;
  }
  w.excess.data[at] = reached ? static_cast<float>(1.0 / w.speed) * record.value[excess] : 0.0f;
  w.focusing.data[at] = reached ? focusing_of(record.value[tube]) : 0.0f;
  w.take_off.data[at] = reached ? record.value[take_off] : 0.0f;
  w.arrival.data[at] = reached ? record.value[arrival] : 0.0f;
  if (w.absorption) w.absorption.data[at] = reached ? gathered : 0.0f;
}

unsigned blocks_of(std::int64_t items) { return unsigned((items + block - 1) / block); }

template <class T>
void upload(T* to, const T* from, std::int64_t n, cudaStream_t stream) {
  // Pageable memory is staged before the call returns.
  check(cudaMemcpyAsync(to, from, n * sizeof(T), cudaMemcpyHostToDevice, stream), "cudaMemcpyAsync");
}

/// One round; returns the halves of sectors whose rays part too far.
std::vector<Part> round_of(Work& w, const std::vector<Part>& parts, Part* on_device, cudaStream_t stream) {
  upload(on_device, parts.data(), std::int64_t(parts.size()), stream);
  w.n_parts = static_cast<std::int32_t>(parts.size());
  check(cudaMemsetAsync(w.parted, 0, parts.size() * sizeof(std::int32_t), stream), "cudaMemsetAsync");
  const std::int64_t rays = std::int64_t(parts.size()) * columns;
  const std::int64_t cells = std::int64_t(parts.size()) * w.plan.rings * sector;
  if (w.plan.medium.absorption)
    trace_kernel<false><<<blocks_of(rays), block, 0, stream>>>(w);
  else
    trace_kernel<true><<<blocks_of(rays), block, 0, stream>>>(w);
  raster_kernel<false><<<blocks_of(cells), block, 0, stream>>>(w);
  raster_kernel<true><<<blocks_of(cells), block, 0, stream>>>(w);
  check(cudaGetLastError(), "kernel launch");
  std::vector<std::int32_t> parted(parts.size());
  check(cudaMemcpyAsync(parted.data(), w.parted, parts.size() * sizeof(std::int32_t), cudaMemcpyDeviceToHost, stream),
        "cudaMemcpyAsync");
  check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
  std::vector<Part> halves;
  for (std::size_t k = 0; k < parts.size(); ++k)
    if (parted[k])
      for (int half = 0; half < 2; ++half)
        halves.push_back({parts[k].source, 2 * parts[k].number + half, parts[k].level + 1});
  return halves;
}

}  // namespace

template <>
Report fields(const Cuda& exec, const Job& job) {
  check_job(job);
  const Prepared prepared = prepare(job);
  const DeviceGuard guard(exec.device);
  const cudaStream_t stream = stream_of(exec);
  const std::int64_t n = job.sources.shape[0], n_points = job.points.shape[0];
  if (n == 0 || n_points == 0) return {};
  Work w{};
  w.plan = prepared.plan;
  const std::int64_t batch = std::max<std::int64_t>(1, std::min(n, most_keys / n_points));
  const std::int64_t row = std::int64_t(w.plan.rings) * columns;
  const std::int64_t room = std::clamp<std::int64_t>(most_bytes / (row * sizeof(Node)), 16, most_sectors);
  const Scratch<Fan> fans(exec, n);
  const Scratch<std::int32_t> start(exec, std::int64_t(prepared.start.size())), original(exec, n_points);
  const Scratch<float> x(exec, n_points), z(exec, n_points);
  const Scratch<double> points(exec, 2 * n_points);
  const Scratch<unsigned long long> keys(exec, batch * n_points);
  const Scratch<Part> parts(exec, room);
  const Scratch<Node> nodes(exec, room * row);
  const Scratch<std::int32_t> last(exec, room * columns), parted(exec, room);
  const Scratch<int> any(exec, 1);
  upload(fans.data(), prepared.fans.data(), n, stream);
  upload(start.data(), prepared.start.data(), std::int64_t(prepared.start.size()), stream);
  upload(original.data(), prepared.original.data(), n_points, stream);
  upload(x.data(), prepared.x.data(), n_points, stream);
  upload(z.data(), prepared.z.data(), n_points, stream);
  upload(points.data(), job.points.data, 2 * n_points, stream);
  check(cudaMemsetAsync(any.data(), 0, sizeof(int), stream), "cudaMemsetAsync");
  check(cudaMemsetAsync(nodes.data(), 0, room * row * sizeof(Node), stream),
        "cudaMemsetAsync");  // what nodes do not have stays 0
  w.plan.buckets.start = start.data();
  w.plan.buckets.original = original.data();
  w.plan.buckets.x = x.data();
  w.plan.buckets.z = z.data();
  w.fans = fans.data();
  w.parts = parts.data();
  w.nodes = nodes.data();
  w.last = last.data();
  w.parted = parted.data();
  w.keys = keys.data();
  w.any_caustic = any.data();
  w.points = points.data();
  w.excess = job.excess;
  w.focusing = job.focusing;
  w.take_off = job.take_off;
  w.arrival = job.arrival;
  w.absorption = job.absorption;
  w.caustics = job.caustics;
  w.speed = job.speed;
  Report report;
  for (w.first = 0; w.first < n; w.first += batch) {
    const std::int64_t count = std::min(batch, n - w.first);
    check(cudaMemsetAsync(keys.data(), 0xff, count * n_points * sizeof(unsigned long long), stream), "cudaMemsetAsync");
    std::vector<Part> waiting;
    for (std::int64_t s = w.first; s < w.first + count; ++s)
      for (std::int32_t k = 0; k < prepared.fans[s].sectors; ++k) waiting.push_back({std::int32_t(s), k, 0});
    while (!waiting.empty()) {
      const std::size_t taken = std::min<std::size_t>(waiting.size(), std::size_t(room));
      const std::vector<Part> now(waiting.end() - std::int64_t(taken), waiting.end());
      waiting.resize(waiting.size() - taken);
      const std::vector<Part> halves = round_of(w, now, parts.data(), stream);
      waiting.insert(waiting.end(), halves.begin(), halves.end());
      report.rays += std::int64_t(taken) * columns;
    }
    finish_kernel<<<blocks_of(count * n_points), block, 0, stream>>>(w, count);
    check(cudaGetLastError(), "kernel launch");
  }
  int caustic = 0;
  check(cudaMemcpyAsync(&caustic, any.data(), sizeof(int), cudaMemcpyDeviceToHost, stream), "cudaMemcpyAsync");
  check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
  report.caustics = caustic != 0;
  return report;
}

}  // namespace sonoray::greens
