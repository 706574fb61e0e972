// Pickers and matching read nothing but the record (run under sanitizers), for windows anywhere, any strides and
// types; they find a known onset, and refuse what does not fit.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "check.h"
#include "core/error.h"
#include "inversion/matching.h"
#include "inversion/picking.h"

using namespace sonoray;

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// Exactly sized memory with the sample axis fastest or slowest.
struct Record {
  std::vector<char> bytes;
  Strided s;
};

Record record(const std::vector<double>& u, std::int64_t n_tx, std::int64_t n_rx, bool int16, bool fastest) {
  const std::int64_t n = static_cast<std::int64_t>(u.size()) / (n_tx * n_rx), size = int16 ? 2 : 4;
  Record r;
  r.bytes.resize(u.size() * size);
  r.s.kind = int16 ? 'i' : 'f';
  r.s.item_size = static_cast<int>(size);
  r.s.n_axes = 3;
  const std::int64_t shape[3] = {n_tx, n_rx, n};
  const std::int64_t dense[3] = {n_rx * n * size, n * size, size}, turned[3] = {size, n_tx * size, n_tx * n_rx * size};
  for (int d = 0; d < 3; ++d) r.s.shape[d] = shape[d], r.s.stride[d] = fastest ? dense[d] : turned[d];
  for (std::int64_t k = 0; k < static_cast<std::int64_t>(u.size()); ++k) {
    char* const to =
        r.bytes.data() + k / (n_rx * n) * r.s.stride[0] + k / n % n_rx * r.s.stride[1] + k % n * r.s.stride[2];
    if (int16) {
      const std::int16_t v = static_cast<std::int16_t>(std::lround(u[k]));
      std::memcpy(to, &v, 2);
    } else {
      const float v = static_cast<float>(u[k]);
      std::memcpy(to, &v, 4);
    }
  }
  r.s.data = r.bytes.data();
  return r;
}

struct Found {
  std::vector<double> at;
  std::vector<float> quality;
  std::vector<std::uint8_t> status;
};

PickParams params(PickMethod method) { return {method, false, false, 1e-3, 0.25, 0.25, 15, 4, 10, 0.5, 4}; }

Found pick(const Strided& s, const PickParams& p, const std::vector<double>& first, const std::vector<double>& last) {
  const std::int64_t n_tx = s.shape[0], n_rx = s.shape[1];
  Found f{std::vector<double>(first.size()), std::vector<float>(first.size()), std::vector<std::uint8_t>(first.size())};
  pick_arrivals(Cpu{2}, p, s, View<const double, 2>{first.data(), {n_tx, n_rx}},
                View<const double, 2>{last.data(), {n_tx, n_rx}}, View<double, 2>{f.at.data(), {n_tx, n_rx}},
                View<float, 2>{f.quality.data(), {n_tx, n_rx}}, View<std::uint8_t, 2>{f.status.data(), {n_tx, n_rx}});
  return f;
}

double wave(double t) {  // starts at 0, ten samples per period
  return t <= 0 || t >= 15 ? 0 : std::sin(0.628318530717958648 * t) * std::pow(std::sin(3.14159265358979 * t / 15), 2);
}

void consistent(const Found& f, std::int64_t n) {
  for (std::size_t k = 0; k < f.at.size(); ++k) {
    const bool picked = f.status[k] == 0;
    CHECK(f.status[k] <= 4);
    CHECK(picked ? f.at[k] >= -1 && f.at[k] <= double(n) : std::isnan(f.at[k]));
    CHECK(picked ? f.quality[k] >= 0 && f.quality[k] <= 1.0001f : f.quality[k] == 0);
  }
}

void test_onset(PickMethod method, bool int16, bool fastest) {
  std::mt19937 random(7);
  std::normal_distribution<double> noise(0, 3);
  const std::int64_t n_tx = 3, n_rx = 20, n = 257;
  std::vector<double> u, first, last;
  for (int k = 0; k < n_tx * n_rx; ++k) {
    for (int i = 0; i < n; ++i) u.push_back(1000 * wave(i - 100 - 0.37 * k) + noise(random) + 5);
    first.push_back(k == 11 ? nan : 90 + 0.37 * k);
    last.push_back(125 + 0.37 * k);
  }
  const Found f = pick(record(u, n_tx, n_rx, int16, fastest).s, params(method), first, last);
  consistent(f, n);
  CHECK(f.status[11] == 1);
  int found = 0;
  for (int k = 0; k < n_tx * n_rx; ++k) found += f.status[k] == 0 && std::fabs(f.at[k] - 100 - 0.37 * k) < 5;
  CHECK(found >= n_tx * n_rx - 3);
}

/// Windows, lengths and values of all kinds: nothing is read outside, every result is one of the allowed.
void test_anything(std::mt19937& random) {
  std::uniform_real_distribution<double> any(-1, 1);
  const std::int64_t n_tx = 2, n_rx = 3, n = 8 + random() % 60;
  std::vector<double> u, first, last;
  const int kind = random() % 4;
  for (int i = 0; i < n_tx * n_rx * n; ++i)
    u.push_back(kind == 0 ? 0 : kind == 1 ? (i % 7 == 3 ? 1e4 : 0) : kind == 2 ? 3e4 * any(random) : any(random));
  if (random() % 5 == 0) u[random() % u.size()] = nan;
  const double huge[] = {-1e300, 1e300, std::numeric_limits<double>::infinity(),
                         -std::numeric_limits<double>::infinity()};
  for (int k = 0; k < n_tx * n_rx; ++k) {
    const double a = random() % 9 == 0 ? huge[random() % 4] : 1.5 * n * any(random);
    first.push_back(a);
    last.push_back(random() % 9 == 0 ? huge[random() % 4] : a + n * (1 + any(random)));
  }
  const bool int16 = kind < 3 && random() % 2 && std::isfinite(u[0]) && random() % 2;
  if (int16)
    for (double& v : u) v = std::isfinite(v) ? v : 0;
  const Record r = record(u, n_tx, n_rx, int16, random() % 2);
  PickParams p = params(static_cast<PickMethod>(random() % 4));
  p.analytic = random() % 2;
  p.parabolic = random() % 2;
  p.threshold = random() % 3 ? 0.3 : 0;
  p.taper = random() % 2 ? 0 : 1;
  p.duration = 1 + random() % n;
  p.short_window = 1 + random() % n;
  p.long_window = 1 + random() % n;
  p.minimum_contrast = random() % 2 ? 0 : 4;
  consistent(pick(r.s, p, first, last), n);

  const std::int64_t fine = 16 * (9 + random() % 30), taps = 1 + random() % 40;
  std::vector<float> templates, weighted;
  for (int i = 0; i < 2 * fine; ++i) templates.push_back(static_cast<float>(any(random)));
  for (int i = 0; i < 2 * taps; ++i) weighted.push_back(static_cast<float>(any(random)));
  const std::vector<std::int32_t> which{0, 1, 1, 0, 1, 0};
  const MatchParams m{{double(random() % 8), double(random() % 8), double(random() % 8)},
                      {0, double(random() % 5), 0},
                      16,
                      double(random() % 9),
                      random() % 2 ? 1.0 : 0.3,
                      2,
                      0};
  Found f{std::vector<double>(6), std::vector<float>(6), std::vector<std::uint8_t>(6)};
  match_arrivals(Cpu{2}, m, r.s, View<const float, 2>{templates.data(), {2, fine}},
                 View<const float, 2>{weighted.data(), {2, taps}}, std::int64_t(random() % taps),
                 View<const std::int32_t, 2>{which.data(), {2, 3}}, View<const double, 2>{first.data(), {2, 3}},
                 View<const double, 2>{last.data(), {2, 3}}, View<double, 2>{f.at.data(), {2, 3}},
                 View<float, 2>{f.quality.data(), {2, 3}}, View<std::uint8_t, 2>{f.status.data(), {2, 3}});
  consistent(f, n);
}

template <class F>
bool refused(F f) {
  try {
    f();
  } catch (const ArgumentError&) {
    return true;
  }
  return false;
}

void test_refusals() {
  const std::vector<double> u(2 * 3 * 20, 1.0), ends(6, 5.0), few(3, 5.0);
  const Record r = record(u, 2, 3, false, true);
  CHECK(!refused([&] { pick(r.s, params(PickMethod::aic), ends, ends); }));
  CHECK(refused([&] {
    Strided s = r.s;
    s.item_size = 8;
    pick(s, params(PickMethod::aic), ends, ends);
  }));
  CHECK(refused([&] {
    Strided s = r.s;
    s.shape[2] = 4;
    pick(s, params(PickMethod::aic), ends, ends);
  }));
  for (const double wrong : {-1.0, 0.0, nan, 1e9}) {
    PickParams p = params(PickMethod::aic);
    p.duration = wrong;
    CHECK(refused([&] { pick(r.s, p, ends, ends); }));
  }
  Found f{few, std::vector<float>(6), std::vector<std::uint8_t>(6)};
  const View<const double, 2> window{ends.data(), {2, 3}};
  CHECK(refused([&] {
    pick_arrivals(Cpu{1}, params(PickMethod::aic), r.s, window, window, View<double, 2>{f.at.data(), {1, 3}},
                  View<float, 2>{f.quality.data(), {2, 3}}, View<std::uint8_t, 2>{f.status.data(), {2, 3}});
  }));
  const std::vector<float> w(2 * 64, 1.0f);
  const MatchParams m{{2, 3, 2}, {1, 2, 1}, 16, 2, 1, 2, 0.5};
  std::vector<double> at(6);
  for (const int which : {0, 2, -1}) {
    const std::vector<std::int32_t> numbers(6, which);
    const bool said = refused([&] {
      match_arrivals(Cpu{1}, m, r.s, View<const float, 2>{w.data(), {2, 64}}, View<const float, 2>{w.data(), {2, 9}}, 2,
                     View<const std::int32_t, 2>{numbers.data(), {2, 3}}, window, window,
                     View<double, 2>{at.data(), {2, 3}}, View<float, 2>{f.quality.data(), {2, 3}},
                     View<std::uint8_t, 2>{f.status.data(), {2, 3}});
    });
    CHECK(said == (which != 0));
  }
}

}  // namespace

int main() {
  for (const auto method : {PickMethod::aic, PickMethod::energy_ratio, PickMethod::sta_lta, PickMethod::threshold})
    for (const bool int16 : {false, true})
      for (const bool fastest : {false, true}) test_onset(method, int16, fastest);
  std::mt19937 random(11);
  for (int k = 0; k < 3000; ++k) test_anything(random);
  test_refusals();
  return failures;
}
