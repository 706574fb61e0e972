#pragma once
#include <cstdint>

#include "core/exec.h"

namespace sonoray {

/// Non-owning C-ordered array: a pointer and its shape.
template <class T, int N>
struct View {
  T* data = nullptr;
  std::int64_t shape[N] = {};

  template <class... I>
  SONORAY_HD SONORAY_INLINE T& operator()(I... i) const {
    static_assert(sizeof...(I) == N, "one index per axis");
    const std::int64_t index[N] = {static_cast<std::int64_t>(i)...};
    std::int64_t k = 0;
    for (int d = 0; d < N; ++d) k = k * shape[d] + index[d];
    return data[k];
  }
  SONORAY_HD std::int64_t size() const {
    std::int64_t n = 1;
    for (int d = 0; d < N; ++d) n *= shape[d];
    return n;
  }
  SONORAY_HD explicit operator bool() const { return data != nullptr; }
};

}  // namespace sonoray
