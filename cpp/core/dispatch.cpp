#include "core/dispatch.h"

#include <atomic>

namespace sonoray {
namespace {

CpuLevel highest() {
#if defined(SONORAY_HAS_LEVELS)
  __builtin_cpu_init();
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
#if defined(SONORAY_HAS_V4)
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                  __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
#else
  const bool v4 = false;
#endif
  return v4 ? CpuLevel::v4 : v3 ? CpuLevel::v3 : CpuLevel::baseline;
#else
  return CpuLevel::baseline;
#endif
}

std::atomic<int> chosen{-1};

}  // namespace

CpuLevel cpu_level() {
  int level = chosen.load(std::memory_order_relaxed);
  if (level < 0) {
    level = static_cast<int>(highest());
    chosen.store(level, std::memory_order_relaxed);
  }
  return static_cast<CpuLevel>(level);
}

void set_cpu_level(CpuLevel level) {
  const int top = static_cast<int>(highest());
  const int want = static_cast<int>(level);
  chosen.store(want < top ? want : top, std::memory_order_relaxed);
}

}  // namespace sonoray
