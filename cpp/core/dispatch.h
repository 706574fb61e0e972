#pragma once

// One source file, several processors. A file listed under sonoray_multiarch() in CMakeLists.txt is compiled
// once per level with SONORAY_LEVEL = baseline | v3 | v4 (x86-64-v3: AVX2 and FMA; v4: AVX-512) and puts its
// entry points into `namespace sonoray::SONORAY_LEVEL`. The caller picks with cpu_level(). Such a file shares
// no inline function of the standard library with others: the linker could keep the copy that an old
// processor cannot run. Shared helpers are SONORAY_INLINE.

#include "core/exec.h"

namespace sonoray {

enum class CpuLevel { baseline = 0, v3 = 1, v4 = 2 };

/// The level in use: the highest that the processor and the build have, or a lower one set below.
SONORAY_API CpuLevel cpu_level();

/// Lowers (or restores) the level; a level above what the processor has is cut to that. For tests and benchmarks.
SONORAY_API void set_cpu_level(CpuLevel);

}  // namespace sonoray

// A build may leave the highest level out (sanitizers do: it takes long, and few machines could run it).
#if defined(SONORAY_HAS_V4)
#define SONORAY_TOP v4
#else
#define SONORAY_TOP v3
#endif

/// Calls name(...) of the level in use.
#if defined(SONORAY_HAS_LEVELS)
#define SONORAY_DISPATCH(name, ...)   \
  switch (::sonoray::cpu_level()) {   \
    case ::sonoray::CpuLevel::v4:     \
      SONORAY_TOP::name(__VA_ARGS__); \
      break;                          \
    case ::sonoray::CpuLevel::v3:     \
      v3::name(__VA_ARGS__);          \
      break;                          \
    default:                          \
      baseline::name(__VA_ARGS__);    \
      break;                          \
  }
#else
#define SONORAY_DISPATCH(name, ...) baseline::name(__VA_ARGS__)
#endif
