#pragma once
// What the eikonal kernels share: the padded field and a sweep of one block over it.
#include <cstdint>

#include "rays/eikonal.h"
#include "rays/eikonal_checks.h"

namespace sonoray::eikonal {

struct Field {
  EikonalGrid grid;
  float h[3];              // in units of `length`
  double length, unit;     // [m], [s/m]
  const float* slowness;   // [s/m]
  std::int64_t stride[3];  // nodes of the padded field
  std::int64_t nodes;      // of one padded field
  int max_rounds;

  SONORAY_HD std::int64_t node(const std::int64_t* index) const {
    std::int64_t k = 0;
    for (int i = 0; i < grid.ndim; ++i) k += (index[i] + 2) * stride[i];
    return k;
  }
};

inline Field make_field(const EikonalGrid& grid, const EikonalParams& params, const float* slowness) {
  Field f{grid, {}, diagonal(grid), params.max_slowness, slowness, {}, 1, params.max_rounds};
  for (int i = grid.ndim - 1; i >= 0; --i) {
    f.h[i] = float(grid.spacing[i] / f.length);
    f.stride[i] = f.nodes;
    f.nodes *= grid.shape[i] + 4;
  }
  return f;
}

/// One block's sweep q over all nodes, f(indices): it walks the anti-diagonals (planes in 3-D) of the grid; nodes on
/// one of them do not depend on each other, so the block's threads share them. Whether any f of this thread was true.
template <int D, class F>
__device__ bool sweep_nodes(const EikonalGrid& grid, int q, const F& f) {
  std::int64_t diagonals = 1 - D;
  for (int i = 0; i < D; ++i) diagonals += grid.shape[i];
  // Nodes of a diagonal are found from all but one of their indices; the longest axis is the one left out.
  int left_out = 0;
  for (int i = 1; i < D; ++i)
    if (grid.shape[i] > grid.shape[left_out]) left_out = i;
  const int a = left_out == 0 ? 1 : 0, b = D == 3 ? 3 - a - left_out : a;
  const std::int64_t candidates = grid.shape[a] * (D == 3 ? grid.shape[b] : 1);
  bool any = false;
  for (std::int64_t d = 0; d < diagonals; ++d) {
    for (std::int64_t k = threadIdx.x; k < candidates; k += blockDim.x) {
      std::int64_t at[3] = {};
      at[a] = k % grid.shape[a];
      if (D == 3) at[b] = k / grid.shape[a];
      at[left_out] = d - at[a] - (D == 3 ? at[b] : 0);
      if (at[left_out] < 0 || at[left_out] >= grid.shape[left_out]) continue;
      for (int i = 0; i < D; ++i)
        if (q >> i & 1) at[i] = grid.shape[i] - 1 - at[i];
      any |= f(static_cast<const std::int64_t*>(at));
    }
    __syncthreads();
  }
  return any;
}

}  // namespace sonoray::eikonal
