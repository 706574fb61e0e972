#pragma once
// Entry points of focus_criteria_rows.cpp, one per processor level, and the memory they work in.
#include <complex>
#include <cstdint>

#include "inversion/focus_criteria.h"

namespace sonoray {

/// Sizes of a patch's arrays. A row holds values of receivers, or of sub-apertures: the real parts, then the imaginary
/// ones, each `width` long, with zeros before and after what is used.
struct FocusSizes {
  std::int64_t n_tx, n_rx, n_kernel;
  std::int64_t length;    ///< of a sub-aperture, 0 if none is needed
  std::int64_t n_i, n_j;  ///< sub-apertures on transmit and on receive
  std::int64_t padded;    ///< n_rx in whole vectors
  std::int64_t width;
  bool slopes;

  static constexpr std::int64_t vector = 8, lead = 8;

  SONORAY_INLINE static std::int64_t round(std::int64_t n) { return (n + vector - 1) / vector * vector; }

  SONORAY_INLINE FocusSizes(const FocusProblem& p, std::int64_t sub_aperture, bool with_slopes)
      : n_tx(p.samples.shape[0]),
        n_rx(p.samples.shape[1]),
        n_kernel(p.n_kernel),
        length(sub_aperture),
        n_i(n_tx - sub_aperture + 1),
        n_j(n_rx - sub_aperture + 1),
        padded(round(n_rx)),
        width(lead + padded + 3 * round(sub_aperture) + 2 * vector),
        slopes(with_slopes) {}

  SONORAY_INLINE std::int64_t row() const { return 2 * width; }
};

/// Where the arrays of a patch lie, as offsets into one block of floats that holds zeros at first.
struct FocusRoom {
  std::int64_t rx, tx, base, range, input, part, sums, block, prefix, u, pairs, squares, derivative, slope, total;

  SONORAY_INLINE explicit FocusRoom(const FocusSizes& s) : total(0) {
    rx = take(4 * s.n_kernel * s.padded);
    tx = take(4 * s.n_kernel * s.n_tx);
    base = take(s.padded);
    range = take(2 * s.n_kernel);
    input = take(2 * s.row());
    part = take(s.row());
    sums = take(s.n_kernel * s.row());
    block = take(s.length * s.n_kernel * s.row());
    prefix = take(s.n_kernel * s.row());
    u = take(s.length ? (s.slopes ? s.n_i : 2) * s.n_kernel * s.row() : 0);
    pairs = take(s.length ? s.n_i * s.row() : 0);
    squares = take(s.length ? s.n_i * s.width : 0);
    derivative = take(s.slopes ? s.n_tx * s.n_kernel * 2 * s.padded : 0);
    slope = take(s.slopes ? s.n_kernel * s.padded : 0);
  }

 private:
  SONORAY_INLINE std::int64_t take(std::int64_t n) {
    const std::int64_t at = total;
    total += FocusSizes::round(n) + FocusSizes::vector;
    return at;
  }
};

#define SONORAY_FOCUS_LEVEL(name)                                                                                  \
  namespace name {                                                                                                 \
  void focus_correlate(const FocusProblem&, const FocusSizes&, std::int64_t patch, float* room,                    \
                       std::complex<float>* correlation, float* energy);                                           \
  void focus_score(const FocusProblem&, const FocusCriterion&, const FocusSizes&, std::int64_t patch, float* room, \
                   double* sums, float* tx_slope, float* rx_slope);                                                \
  void focus_slopes(const FocusProblem&, const FocusSizes&, std::int64_t patch, float* room,                       \
                    const std::complex<float>* cotangent, float* tx_slope, float* rx_slope);                       \
  }
SONORAY_FOCUS_LEVEL(baseline)
SONORAY_FOCUS_LEVEL(v3)
SONORAY_FOCUS_LEVEL(v4)
#undef SONORAY_FOCUS_LEVEL

}  // namespace sonoray
