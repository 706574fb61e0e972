// Green's functions without Python: water is straight for any layout of points, refusals.
#include <cmath>
#include <cstdio>
#include <limits>
#include <random>
#include <vector>

#include "core/error.h"
#include "media/interpolation.h"
#include "rays/greens.h"
#include "rays/greens_plan.h"

using namespace sonoray;
using namespace sonoray::greens;

static int failures = 0;
#define CHECK(condition)                                          \
  do {                                                            \
    if (!(condition)) {                                           \
      std::printf("%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      ++failures;                                                 \
    }                                                             \
  } while (0)

/// A medium of n = 1 on -0.05 to 0.05 m, sources and points, and room for the results.
struct Case {
  interpolation::Points<2> grid{{21, 21}, {5e-3, 5e-3}, {-0.05, -0.05}};
  std::vector<double> field, sources, points;
  std::vector<float> results[4];
  std::vector<std::uint8_t> caustics;
  Job job;

  Case(std::vector<double> from, std::vector<double> to) : sources(std::move(from)), points(std::move(to)) {
    field.resize(interpolation::field_size(grid, interpolation::Kind::cubic));
    const std::vector<double> ones(21 * 21, 1.0);
    interpolation::make_field(Cpu{}, grid, interpolation::Kind::cubic, ones.data(), field.data());
    job.medium.index = interpolation::field_view(grid, interpolation::Kind::cubic, field.data());
    job.medium.floor = 0.5;
    for (int d = 0; d < 2; ++d) {
      job.low[d] = -0.05;
      job.high[d] = 0.05;
    }
    job.step = 5e-3;
    job.width = 5e-3;
    job.speed = 1500;
    const auto n = static_cast<std::int64_t>(points.size() / 2), m = static_cast<std::int64_t>(sources.size() / 2);
    job.sources = {sources.data(), {m, 2}};
    job.points = {points.data(), {n, 2}};
    for (auto& r : results) r.assign(n * m, std::numeric_limits<float>::quiet_NaN());
    caustics.assign(n * m, 0);
    job.excess = {results[0].data(), {n, m}};
    job.focusing = {results[1].data(), {n, m}};
    job.take_off = {results[2].data(), {n, m}};
    job.arrival = {results[3].data(), {n, m}};
    job.caustics = {caustics.data(), {n, m}};
  }
};

static std::vector<double> scattered(std::mt19937& random, int n, double size, double flat) {
  std::uniform_real_distribution<double> side(-size, size);
  std::vector<double> p(2 * n);
  for (int i = 0; i < n; ++i) {
    p[2 * i] = side(random);
    p[2 * i + 1] = flat * side(random);
  }
  return p;
}

static void water_is_straight() {
  std::mt19937 random(3);
  for (const double size : {1e-4, 0.02, 0.05, 0.3})
    for (const double flat : {0.0, 1.0})
      for (const int n : {1, 2, 50}) {
        Case c(scattered(random, 19, 0.05, 1.0), scattered(random, n, size, flat));
        const Report report = fields(Cpu{}, c.job);
        CHECK(report.rays > 0 && !report.caustics);
        for (std::size_t k = 0; k < c.results[0].size(); ++k) {
          CHECK(std::abs(c.results[0][k]) < 1e-12f);
          CHECK(std::abs(c.results[1][k] - 1) < 1e-4f);
          CHECK(std::abs(c.results[2][k]) < 1e-5f && std::abs(c.results[3][k]) < 1e-5f);
          CHECK(c.caustics[k] == 0);
        }
      }
}

static void the_source_itself_has_no_field() {
  Case c({0.01, 0.02}, {0.01, 0.02});
  fields(Cpu{}, c.job);
  CHECK(c.results[0][0] == 0 && c.results[1][0] == 0);
}

template <class Change>
static void refuses(const Change& change) {
  Case c({0.0, 0.0}, {0.01, 0.0, 0.0, 0.02});
  change(c);
  bool refused = false;
  try {
    fields(Cpu{}, c.job);
  } catch (const ArgumentError&) {
    refused = true;
  }
  CHECK(refused);
}

int main() {
  water_is_straight();
  the_source_itself_has_no_field();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  refuses([](Case& c) { c.sources[0] = 0.06; });
  refuses([nan](Case& c) { c.points[1] = nan; });
  refuses([](Case& c) { c.job.step = 0; });
  refuses([nan](Case& c) { c.job.width = nan; });
  refuses([](Case& c) { c.job.every = 0; });
  refuses([](Case& c) { c.job.excess.shape[1] = 2; });
  refuses([](Case& c) { c.job.caustics = {}; });
  refuses([](Case& c) { c.job.medium.index.kind = interpolation::Kind::linear; });
  if (failures == 0) std::printf("greens: all passed\n");
  return failures != 0;
}
