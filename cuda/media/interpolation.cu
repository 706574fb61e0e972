#include "core/guard.cuh"
#include "media/interpolation.h"
#include "media/interpolation_kernel.h"

// Fields are made on the host and copied; here they are evaluated, one point per thread.

namespace sonoray::interpolation {
namespace {

template <int D>
__global__ void evaluate(Field<D> field, View<const double, 2> points, int order, View<double, 2> out) {
  const std::int64_t k = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (k < points.shape[0]) sample_row<D>(field, points.data + k * D, order, out.data + k * out.shape[1]);
}

}  // namespace

template <class Exec, int D>
void interpolate(const Exec& exec, const Field<D>& field, View<const double, 2> points, int order,
                 View<double, 2> out) {
  check_points<D>(points, order, out);
  if (points.shape[0] == 0) return;
  const DeviceGuard guard(exec.device);
  evaluate<D><<<unsigned((points.shape[0] + 255) / 256), 256, 0, stream_of(exec)>>>(field, points, order, out);
  check(cudaGetLastError(), "kernel launch");
}

template void interpolate(const Cuda&, const Field<2>&, View<const double, 2>, int, View<double, 2>);
template void interpolate(const Cuda&, const Field<3>&, View<const double, 2>, int, View<double, 2>);

}  // namespace sonoray::interpolation
