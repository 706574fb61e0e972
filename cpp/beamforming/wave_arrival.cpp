#include "beamforming/wave_arrival.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>

namespace sonoray::waves {
namespace {

constexpr double gap = 2.0;          // in median spacings: beyond it two elements are not parts of one source
constexpr double flat_range = 6.0;   // in quarter periods: inside the depth of a focus phi varies by less
constexpr double near_range = 12.0;  // in quarter periods: pulses further apart no longer add up to a beam

double median(std::vector<double> values) {
  if (values.empty()) return 1.0;
  const std::size_t half = values.size() / 2;
  std::nth_element(values.begin(), values.begin() + half, values.end());
  const double upper = values[half];
  return values.size() % 2 ? upper : 0.5 * (upper + *std::max_element(values.begin(), values.begin() + half));
}

/// Whether elements follow each other in space as they do in order.
bool is_curve(const std::vector<Point>& positions) {
  if (positions.size() < 3) return true;
  std::vector<double> nearest, following;
  for (std::size_t i = 0; i < positions.size(); ++i) {
    double best = 1e300;
    for (std::size_t j = 0; j < positions.size(); ++j)
      if (j != i) best = std::min(best, norm(positions[i] - positions[j]));
    nearest.push_back(best);
    if (i) following.push_back(norm(positions[i] - positions[i - 1]));
  }
  return median(following) < 1.5 * median(nearest);
}

/// Inverse of a small matrix by elimination with pivots; `a` is destroyed.
void invert(double (*a)[5], int n, double (*inverse)[5]) {
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j) inverse[i][j] = i == j;
  for (int k = 0; k < n; ++k) {
    int pivot = k;
    for (int i = k + 1; i < n; ++i)
      if (std::fabs(a[i][k]) > std::fabs(a[pivot][k])) pivot = i;
    for (int j = 0; j < n; ++j) {
      std::swap(a[k][j], a[pivot][j]);
      std::swap(inverse[k][j], inverse[pivot][j]);
    }
    const double scale = 1.0 / a[k][k];
    for (int j = 0; j < n; ++j) {
      a[k][j] *= scale;
      inverse[k][j] *= scale;
    }
    for (int i = 0; i < n; ++i) {
      if (i == k) continue;
      const double factor = a[i][k];
      for (int j = 0; j < n; ++j) {
        a[i][j] -= factor * a[k][j];
        inverse[i][j] -= factor * inverse[k][j];
      }
    }
  }
}

}  // namespace

double norm(const Point& a) { return std::sqrt(dot(a, a)); }

Point mean(const std::vector<Point>& points) {
  Point sum{};
  for (const Point& p : points)
    for (int d = 0; d < 3; ++d) sum[d] += p[d];
  for (double& s : sum) s /= static_cast<double>(points.size());
  return sum;
}

double smooth_step(double x) {
  x = std::clamp(x, 0.0, 1.0);
  return x * x * (3 - 2 * x);
}

void eigen(double (*a)[4], int n, double* values, double (*v)[4]) {
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j) v[i][j] = i == j;
  for (int sweep = 0; sweep < 40; ++sweep)  // Jacobi rotations
    for (int p = 0; p < n; ++p)
      for (int q = p + 1; q < n; ++q) {
        if (a[p][q] == 0.0) continue;
        const double theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
        const double t = (theta >= 0 ? 1.0 : -1.0) / (std::fabs(theta) + std::sqrt(theta * theta + 1));
        const double c = 1 / std::sqrt(t * t + 1), s = t * c;
        for (int k = 0; k < n; ++k) {
          const double x = a[k][p], y = a[k][q];
          a[k][p] = c * x - s * y;
          a[k][q] = s * x + c * y;
        }
        for (int k = 0; k < n; ++k) {
          const double x = a[p][k], y = a[q][k];
          a[p][k] = c * x - s * y;
          a[q][k] = s * x + c * y;
        }
        for (int k = 0; k < n; ++k) {
          const double x = v[k][p], y = v[k][q];
          v[k][p] = c * x - s * y;
          v[k][q] = s * x + c * y;
        }
      }
  for (int i = 0; i < n; ++i) values[i] = a[i][i];
  for (int i = 0; i < n; ++i)
    for (int j = i + 1; j < n; ++j)
      if (values[j] < values[i]) {
        std::swap(values[i], values[j]);
        for (int k = 0; k < n; ++k) std::swap(v[k][i], v[k][j]);
      }
}

Aperture::Aperture(const std::vector<Point>& positions) : n_(static_cast<std::int64_t>(positions.size())) {
  const auto rows = rows_or_columns(positions, 0), columns = rows_or_columns(positions, 1);
  if (!rows.empty() && !columns.empty()) {
    add_line(positions, rows);
    add_line(positions, columns);
  } else if (is_curve(positions)) {
    Members all(n_);
    std::iota(all.begin(), all.end(), 0);
    add_line(positions, {all});
  }
  find_curvature(positions, lines_.size() != 1);
}

/// Rows (along = 0) or columns (1) of a matrix array; none for elements that follow one curve.
std::vector<Aperture::Members> Aperture::rows_or_columns(const std::vector<Point>& positions, int along) const {
  std::map<std::pair<long long, long long>, Members> groups;
  for (std::int32_t i = 0; i < n_; ++i)
    groups[{std::llrint(positions[i][1 - along] * 1e7), std::llrint(positions[i][2] * 1e7)}].push_back(i);
  std::vector<Members> result;
  if (static_cast<std::int64_t>(groups.size()) == n_ || (groups.size() == 1 && n_ > 1)) return result;
  for (auto& group : groups) {
    std::sort(group.second.begin(), group.second.end(),
              [&](std::int32_t a, std::int32_t b) { return positions[a][along] < positions[b][along]; });
    result.push_back(group.second);
  }
  return result;
}

void Aperture::add_line(const std::vector<Point>& positions, const std::vector<Members>& members) {
  std::vector<Fit> fits(n_);
  for (std::int32_t i = 0; i < n_; ++i) {
    fits[i] = Fit{};
    std::fill_n(fits[i].node, nodes, i);
    fits[i].inverse[0][0] = 1.0;
  }
  std::vector<double> steps;
  for (const Members& m : members)
    for (std::size_t i = 1; i < m.size(); ++i) steps.push_back(norm(positions[m[i]] - positions[m[i - 1]]));
  const double pitch = median(steps);
  for (const Members& m : members) {
    Members piece;
    for (std::size_t i = 0; i < m.size(); ++i) {
      if (i && norm(positions[m[i]] - positions[m[i - 1]]) > gap * pitch) {
        fill(fits, positions, piece, pitch);
        piece.clear();
      }
      piece.push_back(m[i]);
    }
    fill(fits, positions, piece, pitch);
  }
  lines_.push_back(std::move(fits));
}

/// Polynomials for the elements of one uninterrupted piece, in arc length divided by the pitch.
void Aperture::fill(std::vector<Fit>& fits, const std::vector<Point>& positions, const Members& piece,
                    double pitch) const {
  const int n = static_cast<int>(piece.size());
  const int size = std::min(nodes, n - (n + 1) % 2);  // odd, so that windows are centred
  if (size < 3) return;
  std::vector<double> arc(n, 0.0);
  for (int i = 1; i < n; ++i) arc[i] = arc[i - 1] + norm(positions[piece[i]] - positions[piece[i - 1]]) / pitch;
  for (int k = 0; k < n; ++k) {
    const int first = std::min(std::max(k - size / 2, 0), n - size);
    Fit& fit = fits[piece[k]];
    double powers[nodes][nodes];
    for (int i = 0; i < size; ++i) {
      fit.node[i] = piece[first + i];
      double power = 1.0;
      for (int j = 0; j < size; ++j, power *= arc[first + i] - arc[k]) powers[i][j] = power;
    }
    fit.inverse[0][0] = 0.0;
    invert(powers, size, fit.inverse);
    fit.low = k ? arc[k - 1] - arc[k] : -0.5;
    fit.high = k < n - 1 ? arc[k + 1] - arc[k] : 0.5;
    fit.near[0] = k == 0 ? 1 : k == n - 1 ? size - 3 : k - 1 - first;
    fit.near[1] = k == 0 ? 2 : k == n - 1 ? size - 2 : k + 1 - first;
  }
}

/// Weights q with q . phi = quadratic part of phi at the end of the aperture, by least squares.
void Aperture::find_curvature(const std::vector<Point>& positions, bool surface) {
  curvature_.assign(n_, 0.0);
  if (n_ < 3) return;
  const int across = surface ? 2 : 1, size = across + 2;
  std::vector<std::array<double, 2>> at(n_);
  if (surface) {
    const Point middle = mean(positions);
    double scatter[4][4] = {}, values[4], axes[4][4];
    for (const Point& p : positions)
      for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j) scatter[i][j] += (p[i] - middle[i]) * (p[j] - middle[j]);
    eigen(scatter, 3, values, axes);
    for (std::int64_t i = 0; i < n_; ++i)
      for (int d = 0; d < 2; ++d)
        at[i][d] = dot(positions[i] - middle, {axes[0][2 - d], axes[1][2 - d], axes[2][2 - d]});
  } else {
    double arc = 0.0, sum = 0.0;
    for (std::int64_t i = 0; i < n_; ++i) {
      if (i) arc += norm(positions[i] - positions[i - 1]);
      at[i] = {arc, 0.0};
      sum += arc;
    }
    for (auto& a : at) a[0] -= sum / static_cast<double>(n_);
  }
  double largest = 0.0, square = 0.0;
  for (const auto& a : at) largest = std::max({largest, std::fabs(a[0]), std::fabs(a[1])});
  std::vector<std::array<double, 4>> basis(n_);
  double normal[4][4] = {}, values[4], axes[4][4];
  for (std::int64_t i = 0; i < n_; ++i) {
    const double x = at[i][0] / largest, y = at[i][1] / largest;
    basis[i] = {1.0, x, surface ? y : x * x, x * x + y * y};
    square = std::max(square, x * x + y * y);
    for (int j = 0; j < size; ++j)
      for (int k = 0; k < size; ++k) normal[j][k] += basis[i][j] * basis[i][k];
  }
  eigen(normal, size, values, axes);
  for (std::int64_t i = 0; i < n_; ++i)  // last row of the pseudo-inverse
    for (int k = 0; k < size; ++k) {
      if (values[k] <= 1e-13 * values[size - 1]) continue;
      double part = 0.0;
      for (int j = 0; j < size; ++j) part += axes[j][k] * basis[i][j];
      curvature_[i] += axes[size - 1][k] * part / values[k] * square;
    }
}

double Aperture::sagitta(const double* phase) const {
  double sum = 0.0;
  for (std::int64_t i = 0; i < n_; ++i) sum += curvature_[i] * phase[i];
  return sum;
}

double Aperture::minimum(const double* phase, bool& stationary) const {
  const std::int64_t at = std::min_element(phase, phase + n_) - phase;
  double value = phase[at];
  stationary = true;
  for (const auto& fits : lines_) value += correction(fits[at], phase, phase[at], stationary);
  return value;
}

/// Change of the minimum by looking between elements, never positive.
double Aperture::correction(const Fit& fit, const double* phase, double smallest, bool& stationary) {
  double values[nodes], c[nodes] = {};
  for (int i = 0; i < nodes; ++i) values[i] = phase[fit.node[i]] - smallest;
  for (int i = 0; i < nodes; ++i)
    for (int j = 0; j < nodes; ++j) c[i] += fit.inverse[i][j] * values[j];
  const double low = fit.low, high = fit.high;
  double t = c[2] > 0 ? -0.5 * c[1] / std::max(c[2], 1e-30) : c[1] > 0 ? low : high;
  t = std::clamp(t, low, high);
  for (int step = 0; step < 2; ++step) {
    const double slope = c[1] + t * (2 * c[2] + t * (3 * c[3] + t * 4 * c[4]));
    const double bend = 2 * c[2] + t * (6 * c[3] + t * 12 * c[4]);
    if (bend > 0) t = std::clamp(t - slope / bend, low, high);
  }
  const double found = t * (c[1] + t * (c[2] + t * (c[3] + t * c[4])));
  // Between three points of a parabola the minimum lies at most 1/8 of its rise below, half a pitch beyond an end 1/2;
  // rough (coded) delays must not overshoot.
  const double rise = std::max(values[fit.near[0]], values[fit.near[1]]);
  stationary = stationary && ((t > low && t < high) || low == high);
  return std::clamp(found, -0.5 * std::max(rise, 0.0), 0.0);
}

double wave_arrival(const Aperture& aperture, const double* phase, bool focusing, double flat_time, Scratch& scratch,
                    double& near) {
  bool in_front = false, behind = false;
  const double first = aperture.minimum(phase, in_front);
  near = 0.0;
  if (!focusing) return first;
  scratch.negative.resize(aperture.size());
  for (std::int64_t i = 0; i < aperture.size(); ++i) scratch.negative[i] = -phase[i];
  const double last = -aperture.minimum(scratch.negative.data(), behind);
  near = 1.0 - smooth_step((last - first) / (near_range * flat_time) - 1.0);
  if (aperture.size() < 3) return first;
  const double sagitta = aperture.sagitta(phase);
  // In a uniform medium only one of the two is stationary; where both or none is, the curvature decides.
  const double hard = (in_front == behind ? sagitta < 0 : behind) ? 1.0 : 0.0;
  const double soft = smooth_step(0.5 - 0.5 * sagitta / flat_time);
  // Elements agree within a period or so only around the focus.
  const double flat = 1.0 - smooth_step((last - first) / (flat_range * flat_time) - 1.0);
  const double weight = flat * soft + (1.0 - flat) * hard;
  return (1.0 - weight) * first + weight * last;
}

SignedDistance::SignedDistance(const Point& f, const std::vector<Point>& firing, const Point& a, double wavelength)
    : focus(f), axis(a), depth(0.0) {
  const Point middle = mean(firing);
  double radius = 0.0;
  for (const Point& e : firing) {
    const Point r = e - middle;
    const double along = dot(r, axis);
    radius = std::max(radius, norm({r[0] - along * axis[0], r[1] - along * axis[1], r[2] - along * axis[2]}));
  }
  const double f_number = norm(focus - middle) / std::max(2 * radius, 1e-9);
  depth = 2 * wavelength * f_number * f_number;  // where the sagitta over the aperture is a quarter period
}

double SignedDistance::operator()(const Point& p) const {
  const Point r = p - focus;
  const double u = dot(r, axis), lateral = norm(r) - std::fabs(u);
  return u + (u > 0 ? 1.0 : u < 0 ? -1.0 : 0.0) * lateral * smooth_step(std::fabs(u) / depth);
}

namespace {

Point axis_to(const Point& focus, const std::vector<Point>& firing) {
  Point axis = focus - mean(firing);
  const double length = std::max(norm(axis), 1e-12);
  for (double& a : axis) a /= length;
  return axis;
}

}  // namespace

FocusModel::FocusModel(const Point& focus, const std::vector<Point>& firing, double speed, double wavelength)
    : firing_(firing), closed_(focus, firing, axis_to(focus, firing), wavelength), speed_(speed) {
  for (const Point& e : firing) to_focus_.push_back(norm(e - focus));
}

double FocusModel::excess(const Aperture& aperture, const Point& p, double flat_time, Scratch& scratch) const {
  scratch.phase.resize(firing_.size());
  for (std::size_t i = 0; i < firing_.size(); ++i) scratch.phase[i] = (norm(p - firing_[i]) - to_focus_[i]) / speed_;
  double near = 0.0;
  return closed_(p) / speed_ - wave_arrival(aperture, scratch.phase.data(), true, flat_time, scratch, near);
}

}  // namespace sonoray::waves
