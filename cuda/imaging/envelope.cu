// One thread per butterfly of a pair of rows; neighbouring threads are neighbours along the row. A launch per factor of
// the length: frames of a few hundred rows are done in less time than launches take, so that shared memory would not
// help.
#include "core/for_each.cuh"
#include "imaging/envelope.cuh"
#include "imaging/envelope_kernel.h"

namespace sonoray {
namespace {

using envelope_kernel::turn_of;

/// The pairs' signals behind each other: (n_pairs, n).
struct Signals {
  float *real, *imaginary;

  SONORAY_HD envelope_kernel::Signal<float> pair(std::int64_t k, std::int64_t n) const {
    return {real + k * n, imaginary + k * n};
  }
};

struct Load {
  const float* rf;
  std::int64_t n_rows, n;
  Signals to;

  SONORAY_HD void operator()(std::int64_t item) const {
    const std::int64_t row = item / n * 2, i = item % n;
    to.real[item] = rf[row * n + i];
    to.imaginary[item] = row + 1 < n_rows ? rf[(row + 1) * n + i] : 0.0f;
  }
};

struct Fours {
  EnvelopeTables t;
  std::int64_t done, m;
  Signals from, to;

  SONORAY_HD void operator()(std::int64_t item) const {
    const std::int64_t each = t.n / 4, pair = item / each, i = item % each, p = i / done, q = i % done;
    envelope_kernel::four_outputs(done, m, p, q, turn_of(t, p * done), turn_of(t, 2 * p * done),
                                  turn_of(t, 3 * p * done), from.pair(pair, t.n), to.pair(pair, t.n));
  }
};

struct Factor {
  EnvelopeTables t;
  int r;
  std::int64_t done, m;
  Signals from, to;

  SONORAY_HD void operator()(std::int64_t item) const {
    const std::int64_t pair = item / t.n, i = item % t.n, q = i % done, p = i / done % m;
    const int j = static_cast<int>(i / done / m);
    envelope_kernel::any_output(t, r, done, m, p, j, q, turn_of(t, p * j * done), from.pair(pair, t.n),
                                to.pair(pair, t.n));
  }
};

struct Quadrature {
  std::int64_t n;
  Signals signals;

  SONORAY_HD void operator()(std::int64_t item) const {
    envelope_kernel::quadrature(item % n, n, signals.real[item], signals.imaginary[item]);
  }
};

struct Magnitude {
  const float* rf;
  std::int64_t n;
  Signals from;
  float* envelope;

  SONORAY_HD void operator()(std::int64_t item) const {
    const std::int64_t row = item / n, at = row / 2 * n + item % n;
    const float value = rf[item], other = row % 2 ? from.real[at] : from.imaginary[at];
    envelope[item] = sqrtf(value * value + other * other);
  }
};

/// Of `a`, with `b` as the other half of the memory; the result is in `a`.
void transform(const Cuda& exec, const EnvelopeTables& t, const std::vector<int>& factors, std::int64_t n_pairs,
               Signals& a, Signals& b) {
  std::int64_t done = 1;
  for (const int r : factors) {
    const std::int64_t m = t.n / done / r;
    if (r == 4) {
      for_each(exec, n_pairs * t.n / 4, Fours{t, done, m, a, b});
    } else {
      for_each(exec, n_pairs * t.n, Factor{t, r, done, m, a, b});
    }
    done *= r;
    const Signals swap = a;
    a = b;
    b = swap;
  }
}

}  // namespace

DeviceEnvelope::DeviceEnvelope(const Cuda& exec, std::int64_t n_rows, std::int64_t n)
    : exec_(exec), n_rows_(n_rows), n_(n), n_pairs_((n_rows + 1) / 2), factors_(envelope_factors(n)) {
  const std::vector<float> roots = envelope_roots(n);
  const Settle settle(stream_of(exec));
  roots_.fill(roots.data(), 2 * n, stream_of(exec));
  check(cudaStreamSynchronize(stream_of(exec)), "copy to device");
  memory_.reserve(4 * n_pairs_ * n);
  tables_.n = n;
  tables_.roots = roots_.data();
}

void DeviceEnvelope::operator()(const float* rf, float* envelope) {
  const std::int64_t size = n_pairs_ * n_;
  float* const memory = memory_.data();
  Signals a{memory, memory + size}, b{memory + 2 * size, memory + 3 * size};
  for_each(exec_, size, Load{rf, n_rows_, n_, a});
  transform(exec_, tables_, factors_, n_pairs_, a, b);
  for_each(exec_, size, Quadrature{n_, a});
  transform(exec_, tables_, factors_, n_pairs_, a, b);
  for_each(exec_, n_rows_ * n_, Magnitude{rf, n_, a, envelope});
}

}  // namespace sonoray
