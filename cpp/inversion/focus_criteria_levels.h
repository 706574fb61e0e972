#pragma once
// Entry points of focus_criteria_rows.cpp, one per processor level, and the memory they work in.
#include <complex>
#include <cstdint>

#include "inversion/focus_criteria.h"

namespace sonoray {

/// Sizes of a patch's arrays. A row holds values of receivers, or of sub-apertures: the real parts, then the imaginary
/// ones, with zeros before and after what is used.
struct FocusSizes {
  static constexpr std::int64_t vector = 8, lead = 8;
  static constexpr std::int64_t longest_window = 64;  ///< [samples]; patches that need longer ones read the record

  std::int64_t n_tx, n_rx, n_kernel;
  std::int64_t length;    ///< of a sub-aperture, 0 if none is needed
  std::int64_t n_i, n_j;  ///< sub-apertures on transmit and on receive
  std::int64_t padded;    ///< n_rx in whole vectors
  std::int64_t wide;      ///< from real to imaginary parts in rows of receivers
  std::int64_t narrow;    ///< the same in rows of sub-apertures
  bool slopes;

  SONORAY_INLINE static std::int64_t round(std::int64_t n) { return (n + vector - 1) / vector * vector; }

  SONORAY_INLINE FocusSizes(const FocusProblem& p, std::int64_t points, std::int64_t sub_aperture, bool with_slopes)
      : n_tx(p.samples.shape[0]),
        n_rx(p.samples.shape[1]),
        n_kernel(points),
        length(sub_aperture),
        n_i(n_tx - sub_aperture + 1),
        n_j(n_rx - sub_aperture + 1),
        padded(round(n_rx)),
        wide(lead + padded + 3 * round(sub_aperture) + 2 * vector),
        narrow(lead + round(n_j) + vector),
        slopes(with_slopes) {}
};

/// Where the arrays of a patch lie, as offsets into one block of floats that holds zeros at first.
struct FocusRoom {
  std::int64_t rx, tx, lowest, base, range, window, zeros, unused, input, part, sums, block, prefix, u, pairs, squares,
      derivative;
  std::int64_t slope, total;

  SONORAY_INLINE explicit FocusRoom(const FocusSizes& s) : total(0) {
    const std::int64_t pairs_of = s.length ? 1 : 0;
    rx = take(4 * s.n_kernel * s.padded);
    tx = take(4 * s.n_kernel * s.n_tx);
    lowest = take(s.n_tx + s.padded);
    base = take(s.padded);
    range = take(2 * s.n_kernel);
    window = take(2 * FocusSizes::longest_window * s.n_rx);
    zeros = take(2 * s.narrow);
    unused = take(2 * s.narrow);
    input = take(4 * s.wide);
    part = take(2 * s.wide);
    sums = take(2 * s.n_kernel * s.wide);
    block = take(2 * s.length * s.n_kernel * s.narrow);
    prefix = take(2 * pairs_of * s.n_kernel * s.narrow);
    u = take(2 * pairs_of * (s.slopes ? s.n_i : 2) * s.n_kernel * s.narrow);
    pairs = take(2 * pairs_of * s.n_i * s.narrow);
    squares = take(pairs_of * s.n_i * s.narrow);
    derivative = take(s.slopes ? 2 * s.n_tx * s.n_kernel * s.padded : 0);
    slope = take(s.n_kernel * s.padded);
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
  void focus_correlate(const FocusProblem&, const FocusSizes&, std::int64_t first, float* room,                    \
                       std::complex<float>* correlation, float* energy);                                           \
  void focus_score(const FocusProblem&, const FocusCriterion&, const FocusSizes&, std::int64_t first, float* room, \
                   double* sums, float* tx_slope, float* rx_slope);                                                \
  void focus_slopes(const FocusProblem&, const FocusSizes&, std::int64_t first, float* room,                       \
                    const std::complex<float>* cotangent, float* tx_slope, float* rx_slope);                       \
  }
// All work on the `n_kernel` points from `first` on. focus_score adds up what the criterion is a mean of, and counts;
// its slopes have yet to be divided by the count of all patches.
SONORAY_FOCUS_LEVEL(baseline)
SONORAY_FOCUS_LEVEL(v3)
SONORAY_FOCUS_LEVEL(v4)
#undef SONORAY_FOCUS_LEVEL

}  // namespace sonoray
