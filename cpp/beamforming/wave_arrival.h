#pragma once
// When the wave of a transmit passes a point, from closed forms or as the envelope of the elements' waves (Huygens).
// Host, double precision: what python/sonoray/beamforming/{wavefronts,huygens}.py explain.
#include <array>
#include <cstdint>
#include <vector>

namespace sonoray::waves {

using Point = std::array<double, 3>;

inline Point operator-(const Point& a, const Point& b) { return {a[0] - b[0], a[1] - b[1], a[2] - b[2]}; }
inline double dot(const Point& a, const Point& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }
double norm(const Point& a);
Point mean(const std::vector<Point>& points);

/// Working memory of one thread.
struct Scratch {
  std::vector<double> phase, negative;
};

/// The firing elements of a transmit: which are neighbours, and how extrema between them are found.
class Aperture {
 public:
  explicit Aperture(const std::vector<Point>& positions);

  std::int64_t size() const { return n_; }

  /// Smallest value of phi between the elements [s], and whether phi is stationary there.
  double minimum(const double* phase, bool& stationary) const;
  /// Time by which phi is above its least-squares tangent at the ends [s].
  double sagitta(const double* phase) const;

 private:
  static constexpr int nodes = 5;
  struct Fit {
    std::int32_t node[nodes];
    double inverse[nodes][nodes];
    double low, high;
    int near[2];
  };
  using Members = std::vector<std::int32_t>;

  std::vector<Members> rows_or_columns(const std::vector<Point>&, int along) const;
  void add_line(const std::vector<Point>&, const std::vector<Members>&);
  void fill(std::vector<Fit>&, const std::vector<Point>&, const Members& piece, double pitch) const;
  void find_curvature(const std::vector<Point>&, bool surface);
  static double correction(const Fit&, const double* phase, double smallest, bool& stationary);

  std::int64_t n_;
  std::vector<std::vector<Fit>> lines_;
  std::vector<double> curvature_;
};

/// Time [s] at which the wave passes a point, from phi = firing time + travel time of each element. `near` is 1 where
/// the elements agree as around a focus, 0 far from it.
double wave_arrival(const Aperture&, const double* phase, bool focusing, double flat_time, Scratch&, double& near);

/// -|p - F| in front of a focus, +|p - F| behind it, flat within its depth.
struct SignedDistance {
  SignedDistance(const Point& focus, const std::vector<Point>& firing, const Point& axis, double wavelength);
  double operator()(const Point& p) const;
  Point focus, axis;
  double depth;
};

/// What the closed form around a focus adds to the Huygens wave of the same elements, on straight paths.
class FocusModel {
 public:
  FocusModel(const Point& focus, const std::vector<Point>& firing, double speed, double wavelength);
  double excess(const Aperture&, const Point& p, double flat_time, Scratch&) const;

 private:
  std::vector<Point> firing_;
  std::vector<double> to_focus_;
  SignedDistance closed_;
  double speed_;
};

/// Eigenvalues (rising) and eigenvectors (columns of `vectors`) of a symmetric n x n matrix, n <= 4; `a` is destroyed.
void eigen(double (*a)[4], int n, double* values, double (*vectors)[4]);

double smooth_step(double x);

}  // namespace sonoray::waves
