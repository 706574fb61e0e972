#pragma once
// From beamformed values to the screen: envelope, gain with depth, decibels, scan conversion, grey levels.
#include <cstdint>
#include <memory>
#include <vector>

#include "core/exec.h"
#include "imaging/display_kernel.h"
#include "imaging/envelope.h"

namespace sonoray {

/// A sector's lines and the even grid that it is shown on.
struct ScanConversion {
  std::vector<double> angles, ranges;  ///< [rad], [m], rising; at least two each
  double apex[2] = {};                 ///< [m] x, z
  std::int64_t shape[2] = {};          ///< (x, z) of the display
  double spacing[2] = {}, origin[2] = {};
};

struct DisplayProblem {
  std::int64_t n_rows = 0, n_columns = 0;  ///< the image; columns are depths or ranges
  bool complex_values = false;             ///< magnitudes are taken
  bool detected = false;                   ///< real values that are magnitudes already
  std::vector<float> gain;                 ///< (n_columns)
  float dynamic_range = 60.0f;             ///< [dB]
  float reference = 0.0f;                  ///< shown as 0 dB; 0: the image's largest
  const ScanConversion* scan = nullptr;
};

/// Where the points of problem.scan lie in the image.
std::vector<display_kernel::Place> scan_places(const Cpu&, const DisplayProblem&);

/// 10^(-dynamic_range / 20), for display_kernel::decibels.
float display_floor(float dynamic_range);

/// Memory and tables made once; a call allocates nothing. One call at a time.
class DisplayPlan {
 public:
  DisplayPlan(const Cpu&, const DisplayProblem&);

  std::int64_t n_grey() const { return n_grey_; }

  /// Image (n_rows, n_columns) float32 or pairs to an envelope, decibels and grey levels. False, and nothing but
  /// `envelope` touched, if the image holds NaN or infinity.
  bool operator()(const float* image, float* envelope, float* decibels, std::uint8_t* grey);

  /// Value shown as 0 dB in the last call.
  float reference() const { return reference_; }

 private:
  void detect(const float* image, float* envelope, std::int64_t row);

  Cpu exec_;
  DisplayProblem problem_;
  std::int64_t n_grey_;
  std::unique_ptr<EnvelopePlan> analytic_;
  std::vector<float> largest_;  // of each row; NaN: not finite
  std::vector<display_kernel::Place> places_;
  float reference_ = 0.0f;
};

/// 10^(min(2 attenuation frequency max(depth - surface, 0), max_gain) / 20) at each depth [m]; attenuation in
/// dB/m/MHz, frequency in Hz, max_gain in dB.
std::vector<float> depth_gain(const std::vector<double>& depths, double attenuation, double frequency, double surface,
                              double max_gain);

}  // namespace sonoray
