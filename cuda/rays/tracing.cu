#include <vector>

#include "core/guard.cuh"
#include "core/scratch.cuh"
#include "rays/tracing.h"
#include "rays/tracing_checks.h"
#include "rays/tracing_lanes.h"

// One ray per thread, in double precision. Neighbours in the list read neighbouring cells, so that a warp shares lines.

namespace sonoray::tracing {
namespace {

constexpr int block = 128;

template <Scheme scheme, int S, int D>
__global__ void __launch_bounds__(block) trace_kernel(Job<D> job) {
  const std::int64_t i = std::int64_t(blockIdx.x) * block + threadIdx.x;
  if (i < job.n) trace_group<scheme, S, D, double, false>(job, i, 1);
}

template <Scheme scheme, int D>
void launch(const Job<D>& job, cudaStream_t stream) {
  const unsigned blocks = unsigned((job.n + block - 1) / block);
  if constexpr (scheme == Scheme::heun || scheme == Scheme::rk4) {
    if (job.amplitudes) {
      trace_kernel<scheme, 2, D><<<blocks, block, 0, stream>>>(job);
      return;
    }
  }
  trace_kernel<scheme, 0, D><<<blocks, block, 0, stream>>>(job);
}

template <int D>
void run(const Cuda& exec, Job<D> job) {
  check_job(job);
  if (job.n == 0) return;
  const DeviceGuard guard(exec.device);
  const cudaStream_t stream = stream_of(exec);
  const std::int64_t numbers = job.surface.shape == Shape::convex ? job.surface.n_faces * (D + 1) : 0;
  Scratch<double> faces(exec, numbers > 0 ? numbers : 1);
  if (numbers > 0) {  // pageable memory is staged before the call returns
    check(cudaMemcpyAsync(faces.data(), job.surface.faces, numbers * sizeof(double), cudaMemcpyHostToDevice, stream),
          "cudaMemcpyAsync");
    job.surface.faces = faces.data();
  }
  switch (job.scheme) {
    case Scheme::mixed_step:
      launch<Scheme::mixed_step>(job, stream);
      break;
    case Scheme::dual_update:
      launch<Scheme::dual_update>(job, stream);
      break;
    case Scheme::characteristics:
      launch<Scheme::characteristics>(job, stream);
      break;
    case Scheme::heun:
      launch<Scheme::heun>(job, stream);
      break;
    case Scheme::rk4:
      launch<Scheme::rk4>(job, stream);
      break;
  }
  check(cudaGetLastError(), "kernel launch");
}

}  // namespace

template <>
void trace_rays(const Cuda& exec, const Job<2>& job) {
  run(exec, job);
}
template <>
void trace_rays(const Cuda& exec, const Job<3>& job) {
  run(exec, job);
}

}  // namespace sonoray::tracing
