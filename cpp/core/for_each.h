#pragma once
#include <cstdint>

#include "core/exec.h"

namespace sonoray {

using RangeTask = void (*)(void* context, std::int64_t begin, std::int64_t end);

/// Calls task(context, begin, end) over disjoint ranges that cover [0, n), each at most `grain` long, on the
/// pool of `Cpu`, by default the shared one. A call from inside a task, or while another caller holds the pool, runs on
/// its own thread. The first exception that a task throws is rethrown here.
SONORAY_API void run_ranges(const Cpu&, std::int64_t n, std::int64_t grain, RangeTask task, void* context);

/// How many threads `Cpu{threads}` stands for.
SONORAY_API int thread_count(const Cpu&);

/// f(i) for every i in [0, n), `grain` consecutive items at a time.
template <class F>
void for_each(const Cpu& exec, std::int64_t n, const F& f, std::int64_t grain = 1) {
  auto task = [](void* context, std::int64_t begin, std::int64_t end) {
    const F& body = *static_cast<const F*>(context);
    for (std::int64_t i = begin; i < end; ++i) body(i);
  };
  run_ranges(exec, n, grain, task, const_cast<F*>(&f));
}

}  // namespace sonoray
