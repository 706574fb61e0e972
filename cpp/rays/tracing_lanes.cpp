#include "rays/tracing_lanes.h"

namespace sonoray::tracing::SONORAY_LEVEL {
namespace {

template <Scheme scheme, int S, int D, bool plain>
void groups(const Job<D>& job, std::int64_t begin, std::int64_t end) {
  constexpr int n = lanes::count<lanes::Wide>;
  for (std::int64_t i = begin; i < end; i += n)
    trace_group<scheme, S, D, lanes::Wide, plain>(job, i, static_cast<int>(end - i < n ? end - i : n));
}

template <Scheme scheme, int S, int D>
void range(const Job<D>& job, std::int64_t begin, std::int64_t end) {
  const bool plain =
      job.medium.index.kind != interpolation::Kind::linear && !job.medium.travel && !job.medium.absorption;
  plain ? groups<scheme, S, D, true>(job, begin, end) : groups<scheme, S, D, false>(job, begin, end);
}

template <int D>
void range(const Job<D>& job, std::int64_t begin, std::int64_t end) {
  switch (job.scheme) {
    case Scheme::mixed_step:
      return range<Scheme::mixed_step, 0>(job, begin, end);
    case Scheme::dual_update:
      return range<Scheme::dual_update, 0>(job, begin, end);
    case Scheme::characteristics:
      return range<Scheme::characteristics, 0>(job, begin, end);
    case Scheme::heun:
      return job.amplitudes ? range<Scheme::heun, 2>(job, begin, end) : range<Scheme::heun, 0>(job, begin, end);
    case Scheme::rk4:
      return job.amplitudes ? range<Scheme::rk4, 2>(job, begin, end) : range<Scheme::rk4, 0>(job, begin, end);
  }
}

}  // namespace

void trace_range(const Job<2>& job, std::int64_t begin, std::int64_t end) { range(job, begin, end); }
void trace_range(const Job<3>& job, std::int64_t begin, std::int64_t end) { range(job, begin, end); }

}  // namespace sonoray::tracing::SONORAY_LEVEL
