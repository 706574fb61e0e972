#include "rays/tracing_lanes.h"

namespace sonoray::tracing::SONORAY_LEVEL {

int trace_lanes() { return lanes::count<lanes::Wide>; }

template <int D>
static void range(const Job<D>& job, std::int64_t begin, std::int64_t end) {
  constexpr int n = lanes::count<lanes::Wide>;
  for (std::int64_t i = begin; i < end; i += n)
    trace_group<D, lanes::Wide>(job, i, static_cast<int>(end - i < n ? end - i : n));
}

void trace_range(const Job<2>& job, std::int64_t begin, std::int64_t end) { range(job, begin, end); }
void trace_range(const Job<3>& job, std::int64_t begin, std::int64_t end) { range(job, begin, end); }

}  // namespace sonoray::tracing::SONORAY_LEVEL
