#pragma once
// What must hold before any schedule reads memory, on either place.
#include <complex>
#include <cstdint>
#include <string>

#include "core/error.h"
#include "inversion/focus_criteria.h"

namespace sonoray::focus_kernel {

inline void check_problem(const FocusProblem& p) {
  const std::int64_t n_tx = p.samples.shape[0], n_rx = p.samples.shape[1], n = p.tx_time.shape[1];
  require(n_tx > 0 && n_rx > 0 && p.margin >= 0 && p.samples.shape[2] > 2 * p.margin,
          "samples: expected (n_tx, n_rx, n_samples) with a margin of zeros at both ends of each trace");
  require(p.samples.shape[1] * p.samples.shape[2] < (std::int64_t(1) << 30),
          "samples: expected less than 2^30 samples per transmit");
  require(p.start.shape[0] == n_tx, "start: expected one time per transmit");
  require(p.tx_time.shape[0] == n_tx, "tx_time: expected " + std::to_string(n_tx) + " rows, one per transmit");
  require(p.rx_time.shape[0] == n_rx && p.rx_time.shape[1] == n,
          "rx_time: expected (" + std::to_string(n_rx) + ", " + std::to_string(n) + ")");
  const auto fits = [](const View<const float, 2>& w, const View<const float, 2>& t) {
    return !w || (w.shape[0] == t.shape[0] && w.shape[1] == t.shape[1]);
  };
  require(fits(p.tx_weight, p.tx_time) && fits(p.rx_weight, p.rx_time), "weights: expected the shapes of the times");
  require(p.n_kernel > 0 && n % p.n_kernel == 0, "n_kernel: expected patches of equally many points");
  require(p.sampling_frequency > 0.0 && p.demodulation_frequency >= 0.0, "frequencies: expected positive numbers");
}

inline void check_sub_aperture(const FocusProblem& p, std::int64_t length) {
  require(
      length > 0 && length < p.samples.shape[0] && length < p.samples.shape[1],
      "sub_aperture: expected fewer elements than there are transmits and receivers, got " + std::to_string(length));
}

inline void check_slopes(const FocusProblem& p, const View<float, 2>& tx, const View<float, 2>& rx, bool needed) {
  if (!needed && !tx && !rx) return;
  require(tx && rx && tx.shape[0] == p.tx_time.shape[0] && tx.shape[1] == p.tx_time.shape[1] &&
              rx.shape[0] == p.rx_time.shape[0] && rx.shape[1] == p.rx_time.shape[1],
          "slopes: expected the shapes of the times");
}

template <class T>
inline void check_pairs(const FocusProblem& p, std::int64_t length, const View<T, 3>& out, const char* name) {
  require(out.shape[0] == p.tx_time.shape[1] / p.n_kernel && out.shape[1] == p.samples.shape[0] - length &&
              out.shape[2] == p.samples.shape[1] - length,
          std::string(name) + ": expected (n_patches, n_tx - sub_aperture, n_rx - sub_aperture)");
}

}  // namespace sonoray::focus_kernel
