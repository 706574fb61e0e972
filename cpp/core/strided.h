#pragma once
#include <cstdint>

namespace sonoray {

/// Non-owning array of a type and strides known at run time, up to five axes.
struct Strided {
  const void* data = nullptr;
  char kind = 0;      ///< 'i', 'f' or 'c', as in NumPy
  int item_size = 0;  ///< bytes of one item
  int n_axes = 0;
  std::int64_t shape[5] = {};
  std::int64_t stride[5] = {};  ///< bytes
};

}  // namespace sonoray
