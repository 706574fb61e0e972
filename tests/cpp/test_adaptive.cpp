// Adaptive beamformers read and write nothing but what they own (run under sanitizers), whatever the method, the order
// and the data; p-DAS with p = 1 is delay-and-sum, and what does not fit is refused.
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "beamforming/adaptive.h"
#include "check.h"
#include "core/dispatch.h"
#include "core/error.h"
#include "das_setup.h"

using namespace sonoray;

namespace {

constexpr int n_kinds = 9;

AdaptiveMethod method_of(int kind, AdaptiveOver over, int temporal) {
  const float exponent = kind == static_cast<int>(AdaptiveKind::power_das) ? 1.0f : 0.7f;
  return {static_cast<AdaptiveKind>(kind), over, 2, exponent, 0.4f, 0.01f, 0.3f, temporal};
}

void check_case(const Case& c, AdaptiveOver over, std::mt19937& random) {
  Setup m = make(c, random);
  m.p.wavelengths = -1.0f;
  const std::int64_t images = c.n_frames * (c.compounding == Compounding::none ? c.n_tx : 1);
  const std::int64_t points = images * c.n_rows * c.n_columns;
  const bool is_complex = c.iq && c.compounding != Compounding::incoherent;
  std::vector<float> sums(points * (is_complex ? 2 : 1)), image(sums.size());
  das(Cpu{1}, m.p, m.s, sums.data());
  for (int kind = 0; kind < n_kinds; ++kind) {
    const AdaptiveMethod method = method_of(kind, over, kind % 3);
    const bool coherence = method.kind == AdaptiveKind::short_lag_coherence;
    std::vector<float> own(coherence ? points : image.size());
    adaptive(Cpu{2}, m.p, method, m.s, own.data());
    double off = 0.0, size = 0.0;
    for (std::size_t i = 0; i < own.size(); ++i) {
      CHECK(std::isfinite(own[i]));
      if (coherence) CHECK(std::fabs(own[i]) < 1.0001f * (c.compounding == Compounding::none ? 1 : c.n_tx));
      if (method.kind != AdaptiveKind::power_das) continue;
      off += std::pow(own[i] - sums[i], 2);
      size += std::pow(sums[i], 2);
    }
    CHECK(off <= 1e-8 * size);
  }
}

template <class F>
bool refused(const F& change) {
  std::mt19937 random(3);
  Setup m = make({2, 3, 4, 2, 1, 50, true, false, false, false, false, 0.0f, 1.0f, Compounding::coherent}, random);
  AdaptiveMethod method = method_of(6, AdaptiveOver::receive, 0);
  change(m.p, method);
  std::vector<float> image(2 * 6 * 2);
  try {
    adaptive(Cpu{1}, m.p, method, m.s, image.data());
  } catch (const ArgumentError&) {
    return true;
  }
  return false;
}

}  // namespace

int main() {
  std::mt19937 random(1);
  for (CpuLevel level : {CpuLevel::baseline, CpuLevel::v3, CpuLevel::v4}) {
    set_cpu_level(level);
    for (bool iq : {false, true}) {
      for (AdaptiveOver over : {AdaptiveOver::receive, AdaptiveOver::each, AdaptiveOver::transmit}) {
        // A table of points, a line of them, points far apart; few and many elements; a record too short.
        check_case({11, 5, 9, 2, 2, 400, iq, false, false, false, false, 1.0f, 1.0f, Compounding::coherent}, over,
                   random);
        check_case({1, 21, 33, 3, 1, 60, iq, true, true, true, false, 0.0f, 1.0f, Compounding::coherent}, over, random);
        check_case({9, 3, 1, 2, 1, 300, iq, false, false, false, true, 0.5f, 90.0f, Compounding::coherent}, over,
                   random);
      }
      for (Compounding compounding : {Compounding::incoherent, Compounding::none})
        check_case({10, 4, 7, 3, 2, 400, iq, true, false, false, false, 1.2f, 1.0f, compounding}, AdaptiveOver::each,
                   random);
    }
  }
  CHECK(!refused([](DasProblem&, AdaptiveMethod&) {}));
  CHECK(refused([](DasProblem&, AdaptiveMethod& m) { m.kind = static_cast<AdaptiveKind>(9); }));
  CHECK(refused([](DasProblem&, AdaptiveMethod& m) { m.over = static_cast<AdaptiveOver>(-1); }));
  CHECK(refused([](DasProblem& p, AdaptiveMethod&) { p.compounding = Compounding::none; }));
  CHECK(refused([](DasProblem& p, AdaptiveMethod&) { p.wavelengths = 1.0f; }));
  CHECK(refused([](DasProblem&, AdaptiveMethod& m) { m.fraction = 1.5f; }));
  CHECK(refused([](DasProblem&, AdaptiveMethod& m) { m.fraction = std::nanf(""); }));
  CHECK(refused([](DasProblem&, AdaptiveMethod& m) { m.loading = -1.0f; }));
  CHECK(refused([](DasProblem&, AdaptiveMethod& m) { m.threshold = 2.0f; }));
  CHECK(refused([](DasProblem&, AdaptiveMethod& m) { m.exponent = 0.0f; }));
  CHECK(refused([](DasProblem&, AdaptiveMethod& m) { m.cutoff = -1; }));
  CHECK(refused([](DasProblem&, AdaptiveMethod& m) { m.temporal_samples = 33; }));
  return failures;
}
