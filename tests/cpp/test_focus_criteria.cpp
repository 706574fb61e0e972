// Focus criteria of apertures, sub-apertures and records of any size stay inside their arrays.
#include <cmath>
#include <complex>
#include <vector>

#include "check.h"
#include "core/dispatch.h"
#include "core/error.h"
#include "inversion/focus_criteria.h"

using namespace sonoray;
using Complex = std::complex<float>;

namespace {

struct Case {
  std::int64_t n_tx, n_rx, n_samples, n_kernel, n_points;
  std::vector<Complex> samples;
  std::vector<double> start;
  std::vector<float> tx_time, rx_time, tx_weight, rx_weight;

  Case(std::int64_t tx, std::int64_t rx, std::int64_t length, std::int64_t kernel, float spread)
      : n_tx(tx), n_rx(rx), n_samples(length), n_kernel(kernel), n_points(3 * kernel) {
    const std::int64_t stride = length + 2 * focus_margin;
    samples.assign(tx * rx * stride, Complex(0.0f, 0.0f));
    for (std::int64_t trace = 0; trace < tx * rx; ++trace)
      for (std::int64_t i = 0; i < length; ++i)
        samples[trace * stride + focus_margin + i] = Complex(std::cos(0.3f * i + trace), std::sin(0.2f * i - trace));
    for (std::int64_t a = 0; a < tx; ++a) start.push_back(0.25 * a);
    for (std::int64_t i = 0; i < tx * n_points; ++i) tx_time.push_back(1e-6f * spread * (1.0f + std::sin(0.7f * i)));
    for (std::int64_t i = 0; i < rx * n_points; ++i) rx_time.push_back(1e-6f * spread * (1.0f + std::cos(1.1f * i)));
    for (std::int64_t i = 0; i < tx * n_points; ++i) tx_weight.push_back(i / n_points % 5 ? 1.0f : 0.0f);
    for (std::int64_t i = 0; i < rx * n_points; ++i) rx_weight.push_back(i / n_points % 7 > 1 ? 1.0f : 0.0f);
  }

  FocusProblem problem(bool weighted) const {
    FocusProblem p{};
    p.samples = {samples.data(), {n_tx, n_rx, n_samples + 2 * focus_margin}};
    p.margin = focus_margin;
    p.start = {start.data(), {n_tx}};
    p.tx_time = {tx_time.data(), {n_tx, n_points}};
    p.rx_time = {rx_time.data(), {n_rx, n_points}};
    if (weighted) p.tx_weight = {tx_weight.data(), {n_tx, n_points}};
    if (weighted) p.rx_weight = {rx_weight.data(), {n_rx, n_points}};
    p.n_kernel = n_kernel;
    p.sampling_frequency = 5e6;
    p.demodulation_frequency = 2e6;
    p.cubic = true;
    return p;
  }
};

template <class T>
bool all_finite(const std::vector<T>& values) {
  for (const T& x : values)
    if (!std::isfinite(std::abs(x))) return false;
  return true;
}

void stays_inside(const Case& c, std::int64_t length, bool weighted) {
  const FocusProblem p = c.problem(weighted);
  std::vector<float> tx(c.n_tx * c.n_points, NAN), rx(c.n_rx * c.n_points, NAN);
  const View<float, 2> tx_slope{tx.data(), {c.n_tx, c.n_points}}, rx_slope{rx.data(), {c.n_rx, c.n_points}};
  for (int measure = 0; measure < 4; ++measure) {
    if (measure == 0 && (length >= c.n_tx || length >= c.n_rx)) continue;
    const FocusCriterion criterion{static_cast<FocusMeasure>(measure), length, 0.5f, 10.0f};
    double loss = NAN, again = NAN;
    focus_loss(Cpu{1}, p, criterion, {&loss, {1}}, tx_slope, rx_slope);
    focus_loss(Cpu{1}, p, criterion, {&again, {1}}, {}, {});
    CHECK(std::isfinite(loss) && std::abs(loss - again) < 1e-5 && all_finite(tx) && all_finite(rx));
  }
  const std::vector<Complex> image(c.n_points, Complex(1.0f, -0.5f));
  focus_image_slopes(Cpu{1}, p, {image.data(), {c.n_points}}, tx_slope, rx_slope);
  CHECK(all_finite(tx) && all_finite(rx));
  if (length >= c.n_tx || length >= c.n_rx) return;
  const std::int64_t n_i = c.n_tx - length, n_j = c.n_rx - length;
  std::vector<Complex> correlation(3 * n_i * n_j, Complex(NAN, NAN));
  std::vector<float> energy(3 * n_i * n_j, NAN);
  focus_correlations(Cpu{1}, p, length, {correlation.data(), {3, n_i, n_j}}, {energy.data(), {3, n_i, n_j}});
  CHECK(all_finite(correlation) && all_finite(energy));
  for (const Complex& z : correlation) CHECK(std::abs(z) < 1.0001f);
}

bool refused(FocusProblem p, std::int64_t length, std::int64_t n_i) {
  std::vector<Complex> correlation(3 * 100);
  std::vector<float> energy(3 * 100);
  try {
    focus_correlations(Cpu{1}, p, length, {correlation.data(), {3, n_i, 6}}, {energy.data(), {3, n_i, 6}});
  } catch (const ArgumentError&) {
    return true;
  }
  return false;
}

}  // namespace

int main() {
  for (int level = 0; level <= 2; ++level) {
    set_cpu_level(static_cast<CpuLevel>(level));
    for (const std::int64_t n_rx : {1, 2, 7, 8, 9, 17, 24, 35})
      for (const std::int64_t length : {1, 3, 5, 9, 17})
        for (const bool weighted : {false, true}) {
          stays_inside(Case(n_rx / 2 + 1, n_rx, 30, 4, 1.0f), length, weighted);
          stays_inside(Case(n_rx + 3, n_rx, 3, 9, 40.0f), length, weighted);  // long windows, mostly outside
        }
  }
  const Case c(8, 9, 20, 2, 1.0f);
  FocusProblem p = c.problem(true);
  CHECK(!refused(p, 3, 5));
  CHECK(refused(p, 3, 4));
  CHECK(refused(p, 9, 1));
  p.margin = 0;
  CHECK(refused(p, 3, 5));
  p.margin = focus_margin;
  p.n_kernel = 4;
  CHECK(refused(p, 3, 5));
  p.n_kernel = 2;
  p.rx_time.shape[1] = 5;
  CHECK(refused(p, 3, 5));
  return failures;
}
