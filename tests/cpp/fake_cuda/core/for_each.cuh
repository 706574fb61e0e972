#pragma once
// In place of cuda/core/for_each.cuh: the same items, on the host, when the stream comes to them.
#include <cstdint>

#include "core/exec.h"
#include "core/guard.cuh"
#include "fake.h"

namespace sonoray {

template <class F>
void for_each(const Cuda& exec, std::int64_t n, const F& f) {
  check(fake::launch(stream_of(exec),
                     [n, f] {
                       for (std::int64_t i = 0; i < n; ++i) f(i);
                     }),
        "kernel launch");
}

}  // namespace sonoray
