#pragma once
// The envelope of real traces: the magnitude of the analytic signal a + i H(a), H the Hilbert transform over one period
// of the discrete Fourier transform.
#include <cstdint>
#include <vector>

#include "core/exec.h"

namespace sonoray {

/// (n, 2) exp(-2 pi i k / n), and the factors of n, fours first.
std::vector<float> envelope_roots(std::int64_t n);
std::vector<int> envelope_factors(std::int64_t n);

/// Envelopes of rows of n numbers; tables and the memory of all threads are made once. One call at a time.
/// Cost n * (sum of the prime factors of n, fours counting as one), so lengths with small factors are quick.
class EnvelopePlan {
 public:
  EnvelopePlan(const Cpu&, std::int64_t n_rows, std::int64_t n);

  /// (n_rows, n) to (n_rows, n); allocates nothing.
  void operator()(const float* rf, float* envelope);

 private:
  Cpu exec_;
  std::int64_t n_rows_, n_, workers_;
  std::vector<float> roots_;
  std::vector<int> factors_;
  std::vector<float> memory_;
};

}  // namespace sonoray
