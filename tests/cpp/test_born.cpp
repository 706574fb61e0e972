// Green's functions of any number of sources, on points and on a coarser grid, stay inside their arrays.
#include <cmath>
#include <complex>
#include <vector>

#include "check.h"
#include "core/dispatch.h"
#include "core/error.h"
#include "inversion/born.h"

using namespace sonoray;
using Complex = std::complex<float>;

namespace {

struct Case {
  std::int64_t n_sources, n_points, nx, nz;
  std::vector<float> sources, points, excess, focusing, absorption, angles, facing;
  std::vector<std::uint8_t> caustics;
  std::vector<Complex> scale;

  Case(std::int64_t n, std::int64_t m, bool coarse)
      : n_sources(n), n_points(m), nx(coarse ? 5 : 0), nz(coarse ? 4 : 0) {
    const std::int64_t nodes = coarse ? nx * nz : m;
    for (std::int64_t s = 0; s < n; ++s) sources.push_back(0.1f * std::cos(0.7f * s));
    for (std::int64_t s = 0; s < n; ++s) sources.push_back(0.1f * std::sin(0.7f * s));
    for (std::int64_t p = 0; p < 2 * m; ++p) points.push_back(0.03f * std::sin(1.3f * p));
    for (std::int64_t i = 0; i < nodes * n; ++i) {
      excess.push_back(1e-6f * std::sin(0.01f * i));
      focusing.push_back(1.0f);
      absorption.push_back(0.5f);
      angles.push_back(0.1f);
      caustics.push_back(static_cast<std::uint8_t>(i % 2));
    }
    facing.assign(3 * n, 0.5f);
    scale.assign(m, Complex(1.0f, 0.0f));
  }

  BornWaves waves(bool weighted) const {
    BornWaves w{};
    const std::int64_t nodes = nx ? nx * nz : n_points;
    w.fields.sources = {sources.data(), {2, n_sources}};
    w.fields.excess = {excess.data(), {nodes, n_sources}};
    w.fields.focusing = {focusing.data(), {nodes, n_sources}};
    w.fields.absorption = {absorption.data(), {nodes, n_sources}};
    w.fields.take_off = {angles.data(), {nodes, n_sources}};
    w.fields.arrival = {angles.data(), {nodes, n_sources}};
    w.fields.caustics = {caustics.data(), {nodes, n_sources}};
    w.fields.reference_sound_speed = 1500.0f;
    w.fields.shape[0] = nx;
    w.fields.shape[1] = nz;
    w.fields.origin[0] = w.fields.origin[1] = -0.02f;  // some points lie outside
    w.fields.spacing[0] = w.fields.spacing[1] = 0.01f;
    w.points = {points.data(), {2, n_points}};
    w.scale = {scale.data(), {n_points}};
    if (weighted) w.facing = {facing.data(), {3, n_sources}};
    w.frequency = 1e6f;
    w.gain = weighted ? 1.0f : -1.0f;
    w.cap = weighted ? 1.0f : 0.0f;
    return w;
  }
};

void stays_inside(std::int64_t n, bool coarse, std::int64_t planes) {
  const Case c(n, 7, coarse);
  const BornWaves w = c.waves(planes == 3 || n % 2);
  std::vector<Complex> out(planes * 7 * n, Complex(NAN, NAN)), sums(7);
  born_waves(Cpu{1}, w, {out.data(), {planes, 7, n}});
  for (const Complex& z : out) CHECK(std::isfinite(z.real()) && std::isfinite(z.imag()));
  const std::vector<float> factor(planes, 1.0f);
  born_rowdot(Cpu{1}, {out.data(), {planes, 7, n}}, {out.data(), {planes, 7, n}}, {factor.data(), {planes}},
              {sums.data(), {7}});
  for (std::int64_t p = 0; p < 7; ++p) {
    std::complex<double> expected = 0.0;
    for (std::int64_t q = 0; q < planes; ++q)
      for (std::int64_t s = 0; s < n; ++s) {
        const std::complex<double> z(out[(q * 7 + p) * n + s]);
        expected += z * z;
      }
    CHECK(std::abs(std::complex<double>(sums[p]) - expected) < 1e-4 * (1.0 + std::abs(expected)));
  }
}

bool refused(const BornWaves& w, View<Complex, 3> out) {
  try {
    born_waves(Cpu{1}, w, out);
  } catch (const ArgumentError&) {
    return true;
  }
  return false;
}

}  // namespace

int main() {
  for (int level = 0; level <= 2; ++level) {
    set_cpu_level(static_cast<CpuLevel>(level));
    for (const std::int64_t n : {1, 3, 7, 8, 9, 15, 16, 17, 24, 33})
      for (const bool coarse : {false, true})
        for (const std::int64_t planes : {1, 3}) stays_inside(n, coarse, planes);
  }
  const Case c(4, 7, false);
  BornWaves w = c.waves(false);
  std::vector<Complex> out(7 * 4);
  CHECK(refused(w, {out.data(), {1, 7, 3}}));
  CHECK(refused(w, {out.data(), {3, 7, 4}}));
  w.fields.excess.shape[0] = 6;
  CHECK(refused(w, {out.data(), {1, 7, 4}}));
  return failures;
}
