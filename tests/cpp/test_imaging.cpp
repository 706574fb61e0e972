// The envelope against the Hilbert transform written out, for lengths of all kinds; display levels.
#include <cmath>
#include <complex>
#include <vector>

#include "check.h"
#include "imaging/display.h"
#include "imaging/envelope.h"

using namespace sonoray;

namespace {

/// The analytic signal by its definition, in double.
std::vector<double> envelope_by_sums(const std::vector<float>& a) {
  const int n = static_cast<int>(a.size());
  const double turn = 2 * 3.14159265358979323846 / n;
  std::vector<std::complex<double>> analytic(n);
  for (int k = 0; 2 * k <= n; ++k) {
    std::complex<double> sum = 0;
    for (int i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * std::polar(1.0, -turn * k * i);
    const double weight = (k == 0 || 2 * k == n ? 1.0 : 2.0) / n;
    for (int i = 0; i < n; ++i) analytic[i] += weight * sum * std::polar(1.0, turn * k * i);
  }
  std::vector<double> result;
  for (const auto& v : analytic) result.push_back(std::abs(v));
  return result;
}

void test_envelope_of_any_length() {
  for (const int n : {1, 2, 3, 4, 7, 8, 12, 30, 64, 97, 100}) {
    const int rows = n % 2 ? 3 : 37;  // more and fewer than one block, and odd numbers
    std::vector<float> rf(rows * n), found(rows * n);
    unsigned seed = 7;
    for (float& v : rf) v = static_cast<float>((seed = seed * 1664525u + 1013904223u) >> 8) / (1 << 23) - 1.0f;
    EnvelopePlan plan(Cpu{2}, rows, n);
    plan(rf.data(), found.data());
    for (const int row : {0, rows - 1}) {
      const auto truth = envelope_by_sums({rf.begin() + row * n, rf.begin() + (row + 1) * n});
      for (int i = 0; i < n; ++i) CHECK(std::fabs(found[row * n + i] - truth[i]) < 2e-6 * n + 2e-6);
    }
  }
}

void test_levels() {
  using namespace display_kernel;
  CHECK(decibels(0.1f, 1.0f, 1e-3f, 60.0f) == 20.0f * std::log10(0.1f));
  CHECK(decibels(0.0f, 1.0f, 1e-3f, 60.0f) == -60.0f);
  CHECK(decibels(2.0f, 1.0f, 1e-3f, 60.0f) == 0.0f);
  CHECK(decibels(0.0f, 0.0f, 1e-3f, 60.0f) == -60.0f);
  CHECK(grey(0.0f, 60.0f) == 255 && grey(-60.0f, 60.0f) == 0 && grey(-30.0f, 60.0f) == 128);
}

/// An image that is linear in angle and range is exact on the display; outside the sector is 0. `middle` [rad] is the
/// sector's: it may lie where atan2 jumps, or a turn away.
void test_scan_conversion(double middle) {
  constexpr int n = 85;
  ScanConversion s;
  for (int i = 0; i < 9; ++i) s.angles.push_back(middle - 0.4 + 0.1 * i);
  for (int j = 0; j < 11; ++j) s.ranges.push_back(0.01 + 0.001 * j);
  s.shape[0] = s.shape[1] = n;
  s.spacing[0] = s.spacing[1] = 5e-4;
  s.origin[0] = s.origin[1] = -0.021;
  DisplayProblem p;
  p.n_rows = 9;
  p.n_columns = 11;
  p.detected = true;
  p.gain.assign(11, 1.0f);
  p.reference = 1.0f;
  p.scan = &s;
  DisplayPlan plan(Cpu{2}, p);
  std::vector<float> image(99), envelope(99), level(99);
  std::vector<std::uint8_t> grey(plan.n_grey());
  for (int i = 0; i < 99; ++i) image[i] = std::pow(10.0f, (-50.0f + 2.0f * (i / 11) + 3.0f * (i % 11)) / 20.0f);
  CHECK(plan(image.data(), envelope.data(), level.data(), grey.data()));
  int inside = 0;
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j) {
      const double x = -0.021 + 5e-4 * i, z = -0.021 + 5e-4 * j, r = std::hypot(x, z);
      const double a = std::remainder(std::atan2(x, z) - middle, 2 * 3.14159265358979323846);
      const bool within = std::fabs(a) < 0.4 && r > 0.01 && r < 0.02;
      const double db = -50.0 + 2.0 * (a + 0.4) / 0.1 + 3.0 * (r - 0.01) / 0.001;
      if (within) CHECK(std::fabs(grey[i * n + j] - (db / 60 + 1) * 255) < 0.51);
      if (std::fabs(a) > 0.401 || r < 0.0099 || r > 0.0201) CHECK(grey[i * n + j] == 0);
      inside += within;
    }
  CHECK(inside > 200);
}

void test_bad_values_are_found() {
  DisplayProblem p;
  p.n_rows = 2;
  p.n_columns = 4;
  p.complex_values = true;
  p.gain.assign(4, 1.0f);
  DisplayPlan plan(Cpu{1}, p);
  std::vector<float> image(16, 1.0f), envelope(8), level(8);
  std::vector<std::uint8_t> grey(8, 77);
  image[5] = NAN;
  CHECK(!plan(image.data(), envelope.data(), level.data(), grey.data()) && grey[0] == 77);
  image[5] = INFINITY;
  CHECK(!plan(image.data(), envelope.data(), level.data(), grey.data()));
  image[5] = 1.0f;
  CHECK(plan(image.data(), envelope.data(), level.data(), grey.data()) && grey[0] == 255);
}

}  // namespace

int main() {
  test_envelope_of_any_length();
  test_levels();
  for (const double middle : {0.0, 3.1, -3.1, 5.0, -6.5}) test_scan_conversion(middle);
  test_bad_values_are_found();
  return failures;
}
