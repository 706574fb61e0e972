// The beamformer's schedules read and write nothing but what they own (run under sanitizers), agree with a plain
// double-precision loop over the shared formulas, and refuse what does not fit.
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "beamforming/das.h"
#include "beamforming/das_kernel.h"
#include "check.h"
#include "core/dispatch.h"
#include "core/error.h"
#include "das_setup.h"

using namespace sonoray;

namespace {

double sample(const Setup& m, std::int64_t f, std::int64_t t, std::int64_t e, std::int64_t i, int part) {
  if (i < 0 || i >= m.s.shape[3]) return 0.0;
  const char* at = m.samples.data() + f * m.s.stride[0] + t * m.s.stride[1] + e * m.s.stride[2] + i * m.s.stride[3];
  return m.s.kind == 'i' ? reinterpret_cast<const std::int16_t*>(at)[part] : reinterpret_cast<const float*>(at)[part];
}

/// One point of one frame and transmit, one element after the other.
void reference(const Setup& m, std::int64_t f, std::int64_t t, std::int64_t point, double* result) {
  const DasProblem& p = m.p;
  const int parts = p.demodulation_frequency > 0.0f ? 2 : 1;
  const float* at = &m.points[3 * point];
  result[0] = result[1] = 0.0;
  for (std::int64_t e = 0; e < p.elements.shape[0]; ++e) {
    das_kernel::Cell<float> cell{};
    if (p.rx_slowness) cell = das_kernel::find_cell(p, at[0], at[1], at[2]);
    const auto path = das_kernel::receive_path(p, t, e, at[0], at[1], at[2]);
    const double time = double(das_kernel::receive_time(p, e, path, cell)) + p.tx_time(t, point);
    const double index = time * p.sampling_frequency - p.start(t, 0) - p.start(t, 1), whole = std::floor(index);
    double value[2] = {0.0, 0.0}, weight[4];
    const double g = index - whole, h = 1.0 - g;
    if (p.cubic) {
      const double keys[4] = {-0.5 * g * h * h, h * (1 + g * (1 - 1.5 * g)), g * (1 + h * (1 - 1.5 * h)),
                              -0.5 * h * g * g};
      for (int k = 0; k < 4; ++k) weight[k] = keys[k];
    } else {
      weight[0] = weight[3] = 0.0;
      weight[1] = h;
      weight[2] = g;
    }
    for (int k = 0; k < 4; ++k)
      for (int c = 0; c < parts; ++c)
        value[c] += weight[k] * sample(m, f, t, e, static_cast<std::int64_t>(whole) - 1 + k, c);
    const double phase = 2.0 * M_PI * p.demodulation_frequency * time;
    result[0] += path.weight * (value[0] * std::cos(phase) - value[1] * std::sin(phase));
    result[1] += path.weight * (value[0] * std::sin(phase) + value[1] * std::cos(phase));
  }
}

void check_case(const Case& c, std::mt19937& random) {
  Setup m = make(c, random);
  const std::int64_t n = c.n_rows * c.n_columns, images = c.compounding == Compounding::none ? c.n_tx : 1;
  const bool magnitude = c.compounding == Compounding::incoherent;
  const int parts = c.iq && !magnitude ? 2 : 1;
  std::vector<double> want(c.n_frames * images * n * parts, 0.0);
  for (std::int64_t f = 0; f < c.n_frames; ++f)
    for (std::int64_t t = 0; t < c.n_tx; ++t)
      for (std::int64_t i = 0; i < n; ++i) {
        double v[2];
        reference(m, f, t, i, v);
        double* to = &want[((f * images + (images > 1 ? t : 0)) * n + i) * parts];
        if (magnitude) to[0] += c.iq ? std::hypot(v[0], v[1]) : std::fabs(v[0]);
        for (int k = 0; k < parts && !magnitude; ++k) to[k] += v[k];
      }
  for (int lanes : {0, 8, 16}) {
    m.p.lanes = lanes;
    std::vector<float> image(want.size(), std::numeric_limits<float>::quiet_NaN());
    das(Cpu{2}, m.p, m.s, image.data());
    double error = 0.0, norm = 1e-30;
    for (std::size_t i = 0; i < image.size(); ++i) {
      error += (image[i] - want[i]) * (image[i] - want[i]);
      norm += want[i] * want[i];
    }
    CHECK(std::sqrt(error / norm) < 2e-4);  // float32 times, white noise
    if (magnitude || c.int16) continue;
    std::vector<float> back(c.n_frames * c.n_tx * c.n_rx * c.n_samples * parts);
    das_adjoint(Cpu{2}, m.p, image.data(), c.n_frames, c.n_samples, back.data());
    double left = 0.0, right = 0.0;
    for (float v : image) left += double(v) * v;
    for (std::int64_t f = 0, k = 0; f < c.n_frames; ++f)
      for (std::int64_t t = 0; t < c.n_tx; ++t)
        for (std::int64_t e = 0; e < c.n_rx; ++e)
          for (std::int64_t i = 0; i < c.n_samples; ++i)
            for (int part = 0; part < parts; ++part) right += back[k++] * sample(m, f, t, e, i, part);
    CHECK(std::fabs(left - right) <= 1e-5 * left + 1e-20);  // <A x, A x> = <x, A' A x>
  }
}

template <class Change>
bool refused(Change change) {
  std::mt19937 random(3);
  const Case c{5, 6, 4, 2, 1, 50, false, false, false, false, false, 0.0f, 1.0f, Compounding::coherent};
  Setup m = make(c, random);
  change(m);
  std::vector<float> image(30);
  try {
    das(Cpu{1}, m.p, m.s, image.data());
  } catch (const ArgumentError&) {
    return true;
  }
  return false;
}

}  // namespace

int main() {
  std::mt19937 random(11);
  const CpuLevel top = cpu_level();
  const Compounding kinds[] = {Compounding::coherent, Compounding::incoherent, Compounding::none};
  for (int level = 0; level <= static_cast<int>(top); ++level) {
    set_cpu_level(static_cast<CpuLevel>(level));
    int k = 0;
    for (bool iq : {false, true})
      for (bool int16 : {false, true})
        for (bool cubic : {false, true})
          for (bool frames_fastest : {false, true})
            for (float spread : {1.0f, 40.0f}) {  // the second: neighbours share no window of samples
              const float f_number = k % 3 ? 0.0f : 0.8f;
              const int frames = frames_fastest ? 5 + k % 4 : 2;
              check_case({19, 37, 7, 2, frames, 150 * int(std::sqrt(spread)), iq, int16, cubic, k % 2 == 0,
                          frames_fastest, f_number, spread, kinds[k % 3]},
                         random);
              check_case({k % 5 + 1, k % 7 + 1, 1, 1, frames, k % 3 + 1, iq, int16, cubic, false, frames_fastest, 0.0f,
                          spread, kinds[k % 3]},
                         random);
              check_case({13, 9, 5, 3, frames, 150, iq, int16, cubic, k % 2 == 0, frames_fastest, 0.8f, spread,
                          kinds[k % 3], true},
                         random);
              ++k;
            }
  }
  set_cpu_level(top);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(!refused([](Setup&) {}));
  CHECK(refused([&](Setup& m) { m.points[7] = nan; }));
  CHECK(refused([&](Setup& m) { m.elements[1] = nan; }));
  CHECK(refused([](Setup& m) { m.points[2] = 1e9f; }));
  CHECK(refused([](Setup& m) { m.p.n_rows = 4; }));
  CHECK(refused([](Setup& m) { m.p.tx_time.shape[1] = 29; }));
  CHECK(refused([](Setup& m) { m.p.normals.shape[0] = 3; }));
  CHECK(refused([](Setup& m) { m.p.start.shape[0] = 1; }));
  CHECK(refused([](Setup& m) { m.p.slowness = 0.0f; }));
  CHECK(refused([](Setup& m) { m.p.lanes = 4; }));
  CHECK(refused([](Setup& m) { m.p.lines = {m.points.data(), {3, 3}}; }));
  CHECK(refused([](Setup& m) { m.p.axes = {m.points.data(), {3, 4}}; }));
  CHECK(refused([](Setup& m) { m.p.rx_weight = {m.points.data(), {2, 3}}; }));
  CHECK(refused([](Setup& m) { m.p.window = {m.points.data(), {1}}; }));
  CHECK(refused([](Setup& m) { m.p.lens_thickness = 1e-3f; }));
  CHECK(refused([](Setup& m) { m.s.kind = 'c'; }));
  CHECK(refused([](Setup& m) { m.s.shape[2] = 5; }));
  CHECK(refused([](Setup& m) { m.s.n_axes = 3; }));
  CHECK(!refused([&](Setup& m) { m.tx_time[3] = nan; }));  // a point without arrival: zero, and no crash
  CHECK(!refused([](Setup& m) { m.tx_time[3] = 1e30f; }));
  return failures;
}
