// The C++ library without the C API: travel times through a medium, against the formula for a constant gradient.
#include <sonoray/core/error.h>
#include <sonoray/rays/eikonal.h>

#include <cmath>
#include <cstdio>
#include <vector>

int main() {
  // Sound speed c = 1500 + 2000 z: rays are circles, T = arccosh(1 + g^2 d^2 / (2 c0 c1)) / g.
  sonoray::EikonalGrid grid;
  grid.shape[0] = grid.shape[1] = 201;
  grid.spacing[0] = grid.spacing[1] = 2e-4;
  const double gradient = 2000.0;
  std::vector<float> slowness(grid.size()), times(grid.size());
  for (std::int64_t i = 0; i < grid.size(); ++i)
    slowness[i] = static_cast<float>(1.0 / (1500.0 + gradient * 2e-4 * (i % 201)));
  const double source[3] = {0.02, 0.0, 0.01};
  const double max_slowness = 1.0 / 1500.0;
  sonoray::eikonal_points(sonoray::Cpu{1}, grid, {40, max_slowness}, {slowness.data(), {grid.size()}}, {source, {1, 3}},
                          false, {times.data(), {1, grid.size()}});
  const double c0 = 1500.0 + gradient * source[2], c1 = 1500.0 + gradient * 0.04;
  const double square = 0.02 * 0.02 + 0.03 * 0.03;
  const double truth = std::acosh(1 + gradient * gradient * square / (2 * c0 * c1)) / gradient;
  const double found = times[200 * 201 + 200];
  std::printf("time to the far corner: %.4f us, formula %.4f us\n", 1e6 * found, 1e6 * truth);
  try {
    sonoray::eikonal_points(sonoray::Cpu{1}, grid, {40, max_slowness}, {slowness.data(), {3}}, {source, {1, 3}}, false,
                            {times.data(), {1, grid.size()}});
  } catch (const sonoray::ArgumentError& e) {
    std::printf("refused as it should be: %s\n", e.what());
    return std::fabs(found - truth) < 1e-9 ? 0 : 1;
  }
  return 1;
}
