// cuBLAS is opened by name when it is first needed: the toolkit that builds us need not have it, and a process that
// holds torch or CuPy has loaded it already. Its C interface is stable; the three functions are declared here.
#include <dlfcn.h>

#include "core/blas.h"
#include "core/error.h"
#include "core/guard.cuh"

namespace sonoray {
namespace {

constexpr int side = 16;  // threads along a tile
constexpr int each = 2;   // results per thread along an axis
constexpr int tile = side * each;

__device__ void multiply_add(float2& sum, float2 a, float2 b) {
  sum.x += a.x * b.x - a.y * b.y;
  sum.y += a.x * b.y + a.y * b.x;
}

/// Each block makes a tile of the result from tiles of a and b in shared memory.
template <bool Transposed>
__global__ void multiply(std::int64_t m, std::int64_t n, std::int64_t k, const float2* a, const float2* b, float beta,
                         float2* out) {
  __shared__ float2 left[side][tile + 1],
      right[side][tile + 1];  // [of k][of m or n]; the spare column avoids conflicts
  const int x = threadIdx.x, y = threadIdx.y, flat = y * side + x;
  const std::int64_t column = std::int64_t(blockIdx.x) * tile;
  for (std::int64_t row = std::int64_t(blockIdx.y) * tile; row < m; row += std::int64_t(gridDim.y) * tile) {
    float2 sum[each][each] = {};
    for (std::int64_t start = 0; start < k; start += side) {
      for (int i = flat; i < side * tile; i += side * side) {
        const int u = Transposed ? i / tile : i % side, v = Transposed ? i % tile : i / side;
        const bool inside = start + u < k && row + v < m;
        const std::int64_t from = Transposed ? (start + u) * m + row + v : (row + v) * k + start + u;
        left[u][v] = inside ? a[from] : float2{0.0f, 0.0f};
        const int p = i / tile, q = i % tile;
        right[p][q] = start + p < k && column + q < n ? b[(start + p) * n + column + q] : float2{0.0f, 0.0f};
      }
      __syncthreads();
      for (int u = 0; u < side; ++u)
        for (int i = 0; i < each; ++i)
          for (int j = 0; j < each; ++j) multiply_add(sum[i][j], left[u][y + i * side], right[u][x + j * side]);
      __syncthreads();
    }
    for (int i = 0; i < each; ++i)
      for (int j = 0; j < each; ++j) {
        const std::int64_t r = row + y + i * side, c = column + x + j * side;
        if (r >= m || c >= n) continue;
        float2 value = sum[i][j];
        if (beta != 0.0f) {  // what is there may be anything otherwise
          value.x += beta * out[r * n + c].x;
          value.y += beta * out[r * n + c].y;
        }
        out[r * n + c] = value;
      }
  }
}

template <class F>
bool find(void* library, const char* name, F& function) {
  function = reinterpret_cast<F>(dlsym(library, name));
  return function != nullptr;
}

}  // namespace

DeviceBlas::DeviceBlas(int device) : exec_{device} {
  for (const char* name : {"libcublas.so.13", "libcublas.so.12", "libcublas.so"})
    if (!library_) library_ = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (!library_) return;
  int (*create)(void**) = nullptr;
  const bool found = find(library_, "cublasCreate_v2", create) && find(library_, "cublasDestroy_v2", destroy_) &&
                     find(library_, "cublasSetStream_v2", set_stream_) && find(library_, "cublasCgemm_v2", multiply_);
  const DeviceGuard guard(device);
  if (!found || create(&handle_) != 0) handle_ = nullptr;
}

DeviceBlas::~DeviceBlas() {
  // The library stays: others may use it, and unloading it while a process exits can hang.
  if (!handle_) return;
  int previous = 0;
  if (cudaGetDevice(&previous) != cudaSuccess) return;
  cudaSetDevice(exec_.device);
  destroy_(handle_);
  cudaSetDevice(previous);
}

void DeviceBlas::product(const Cuda& exec, bool transposed, View<const std::complex<float>, 2> a,
                         View<const std::complex<float>, 2> b, float beta, View<std::complex<float>, 2> out) const {
  const std::int64_t m = out.shape[0], n = out.shape[1], k = b.shape[0];
  require(exec.device == exec_.device, "product: expected the device that this object was made for");
  require(b.shape[1] == n && a.shape[transposed ? 1 : 0] == m && a.shape[transposed ? 0 : 1] == k,
          "product: shapes do not fit");
  constexpr std::int64_t most = 2147483647;
  require(m <= most && n <= most && k <= most, "product: sizes beyond 2^31");
  if (m == 0 || n == 0) return;
  require(k > 0, "product: expected something to add up");
  const DeviceGuard guard(exec.device);
  if (handle_) {
    // Rows of ours are its columns: it computes the transpose, b' a', of what it sees as transposed matrices.
    const float one[2] = {1.0f, 0.0f}, keep[2] = {beta, 0.0f};
    const int wide = int(n), tall = int(m), deep = int(k);
    const int status = set_stream_(handle_, exec.stream);
    const int done = status ? status
                            : multiply_(handle_, 0, transposed ? 1 : 0, wide, tall, deep, one, b.data, wide, a.data,
                                        transposed ? tall : deep, keep, out.data, wide);
    if (done != 0) throw DeviceError("cuBLAS: cublasCgemm failed with status " + std::to_string(done));
    return;
  }
  const std::int64_t rows = (m + tile - 1) / tile;
  const dim3 grid(unsigned((n + tile - 1) / tile), unsigned(rows < 65535 ? rows : 65535)), block(side, side);
  const auto* left = reinterpret_cast<const float2*>(a.data);
  const auto* right = reinterpret_cast<const float2*>(b.data);
  auto* to = reinterpret_cast<float2*>(out.data);
  if (transposed) {
    multiply<true><<<grid, block, 0, stream_of(exec)>>>(m, n, k, left, right, beta, to);
  } else {
    multiply<false><<<grid, block, 0, stream_of(exec)>>>(m, n, k, left, right, beta, to);
  }
  check(cudaGetLastError(), "kernel launch");
}

}  // namespace sonoray
