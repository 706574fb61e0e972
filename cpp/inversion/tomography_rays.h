#pragma once
// The inner loops of the travel-time operator, compiled per processor level.
#include <cstdint>

#include "core/exec.h"
#include "inversion/tomography_kernel.h"

namespace sonoray::tomography {

/// What one call works on; plain data for the files under sonoray_multiarch().
struct Work {
  TomographyGrid grid;
  const double* points = nullptr;
  const std::int32_t* offsets = nullptr;
  const double* weights = nullptr;  ///< none: 1
};

}  // namespace sonoray::tomography

#define SONORAY_DECLARE_TOMOGRAPHY(level)                                                                            \
  namespace sonoray::level {                                                                                         \
  /* Rays [begin, end): out[ray] from the coefficients (size, 2^D) of the cells. */                                  \
  void integrate_rays(const tomography::Work&, const double* coefficients, std::int64_t begin, std::int64_t end,     \
                      double* out);                                                                                  \
  /* The transpose: adds to the moments (size, 2^D) of the cells. */                                                 \
  void spread_rays(const tomography::Work&, const double* y, std::int64_t begin, std::int64_t end, double* moments); \
  /* One ray's pieces: their cells and 2^D moments, at most `capacity` of them; returns how many there are. */       \
  std::int64_t list_pieces(const tomography::Work&, std::int64_t ray, std::int64_t capacity, std::int32_t* cells,    \
                           double* moments);                                                                         \
  }
SONORAY_DECLARE_TOMOGRAPHY(baseline)
SONORAY_DECLARE_TOMOGRAPHY(v3)
SONORAY_DECLARE_TOMOGRAPHY(v4)
#undef SONORAY_DECLARE_TOMOGRAPHY
