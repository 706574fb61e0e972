#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "beamforming/adaptive_check.h"
#include "beamforming/das.h"
#include "core/error.h"

namespace sonoray::bindings {

/// The memory of a C-ordered float32 or complex64 array of n numbers that a call may fill.
template <class Place>
float* das_array(const typename Place::AnyArray& array, const char* name, std::int64_t n, bool is_complex) {
  const Strided s = Place::strided(array, name);
  const int item = is_complex ? 8 : 4;
  std::int64_t size = 1;
  bool contiguous = true;
  for (int d = s.n_axes - 1; d >= 0; --d) {
    contiguous &= s.shape[d] == 1 || s.stride[d] == size * item;
    size *= s.shape[d];
  }
  require(contiguous && size == n && s.kind == (is_complex ? 'c' : 'f') && s.item_size == item,
          std::string(name) + ": expected a C-ordered " + (is_complex ? "complex64" : "float32") + " array of " +
              std::to_string(n) + " numbers");
  return static_cast<float*>(const_cast<void*>(s.data));
}

/// Defines a function whose arguments are a DasProblem, `Extra...`, and where to run.
template <class Place, class... Extra, class F, class... Names>
void define_das(typename Place::Module& m, const char* name, F call, Names... names) {
  using Plane = typename Place::template Array<const float, 2>;
  using Table = typename Place::template Array<const float, 4>;
  using Row = typename Place::template Array<const float, 1>;
  m.def(
      name,
      [call](Plane points, std::int64_t n_columns, Plane elements, Plane normals, std::optional<Plane> lines,
             Plane tx_time, std::optional<Plane> tx_weight, Plane start, std::optional<Table> rx_slowness,
             std::vector<float> table_origin, std::vector<float> table_rate, std::optional<Plane> axes,
             std::optional<Plane> rx_weight, std::optional<Row> window, float slowness, float sampling_frequency,
             float demodulation_frequency, float f_number, float pedestal, float taper, float wavelengths,
             float lens_thickness, float lens_slowness, bool cubic, int compounding, int lanes, Extra... extra,
             int index, std::uintptr_t stream) {
        require(
            n_columns > 0 && table_origin.size() == 3 && table_rate.size() == 3 && compounding >= 0 && compounding <= 2,
            "das: expected columns, three axes of the table and a compounding of 0, 1 or 2");
        DasProblem p{};
        p.points = Place::template view<const float, 2>(points, "points");
        p.n_columns = n_columns;
        p.n_rows = p.points.shape[0] / n_columns;
        p.elements = Place::template view<const float, 2>(elements, "elements");
        p.normals = Place::template view<const float, 2>(normals, "normals");
        p.lines = Place::template view<const float, 2>(lines, "lines");
        p.tx_time = Place::template view<const float, 2>(tx_time, "tx_time");
        p.tx_weight = Place::template view<const float, 2>(tx_weight, "tx_weight");
        p.start = Place::template view<const float, 2>(start, "start");
        p.rx_slowness = Place::template view<const float, 4>(rx_slowness, "rx_slowness");
        for (int d = 0; d < 3; ++d) {
          p.table_origin[d] = table_origin[d];
          p.table_rate[d] = table_rate[d];
        }
        p.axes = Place::template view<const float, 2>(axes, "axes");
        p.rx_weight = Place::template view<const float, 2>(rx_weight, "rx_weight");
        p.window = Place::template view<const float, 1>(window, "window");
        p.slowness = slowness;
        p.sampling_frequency = sampling_frequency;
        p.demodulation_frequency = demodulation_frequency;
        p.f_number = f_number;
        p.pedestal = pedestal;
        p.taper = taper;
        p.wavelengths = wavelengths;
        p.lens_thickness = lens_thickness;
        p.lens_slowness = lens_slowness;
        p.cubic = cubic;
        p.compounding = static_cast<Compounding>(compounding);
        p.lanes = lanes;
        call(Place::exec(index, stream), p, extra...);
      },
      Place::arg("points"), Place::arg("n_columns"), Place::arg("elements"), Place::arg("normals"),
      Place::arg("lines").none(), Place::arg("tx_time"), Place::arg("tx_weight").none(), Place::arg("start"),
      Place::arg("rx_slowness").none(), Place::arg("table_origin"), Place::arg("table_rate"), Place::arg("axes").none(),
      Place::arg("rx_weight").none(), Place::arg("window").none(), Place::arg("slowness"),
      Place::arg("sampling_frequency"), Place::arg("demodulation_frequency"), Place::arg("f_number"),
      Place::arg("pedestal"), Place::arg("taper"), Place::arg("wavelengths"), Place::arg("lens_thickness"),
      Place::arg("lens_slowness"), Place::arg("cubic"), Place::arg("compounding"), Place::arg("lanes"), names...,
      Place::arg("index"), Place::arg("stream"));
}

template <class Place>
void bind_beamforming(typename Place::Module& m) {
  using Any = typename Place::AnyArray;
  using Exec = typename Place::Exec;
  define_das<Place, Any, Any>(
      m, "das",
      [](const Exec& exec, const DasProblem& p, const Any& samples, const Any& image) {
        const Strided s = Place::strided(samples, "samples");
        const std::int64_t images = s.shape[0] * (p.compounding == Compounding::none ? p.tx_time.shape[0] : 1);
        const bool is_complex = p.demodulation_frequency > 0.0f && p.compounding != Compounding::incoherent;
        float* target = das_array<Place>(image, "out", images * p.points.shape[0], is_complex);
        const typename Place::WithoutGil release;
        das(exec, p, s, target);
      },
      Place::arg("samples"), Place::arg("image"));
  define_das<Place, Any, Any>(
      m, "das_adjoint",
      [](const Exec& exec, const DasProblem& p, const Any& image, const Any& samples) {
        const Strided s = Place::strided(samples, "samples");
        require(s.n_axes == 4 && s.shape[1] == p.tx_time.shape[0] && s.shape[2] == p.elements.shape[0],
                "samples: expected shape (n_frames, n_tx, n_rx, n_samples)");
        const bool is_complex = p.demodulation_frequency > 0.0f;
        const std::int64_t images = s.shape[0] * (p.compounding == Compounding::none ? p.tx_time.shape[0] : 1);
        const float* source = das_array<Place>(image, "image", images * p.points.shape[0], is_complex);
        float* target =
            das_array<Place>(samples, "samples", s.shape[0] * s.shape[1] * s.shape[2] * s.shape[3], is_complex);
        const typename Place::WithoutGil release;
        das_adjoint(exec, p, source, s.shape[0], s.shape[3], target);
      },
      Place::arg("image"), Place::arg("samples"));
  define_das<Place, int, int, int, float, float, float, float, int, Any, Any>(
      m, "adaptive",
      [](const Exec& exec, const DasProblem& p, int kind, int over, int cutoff, float exponent, float fraction,
         float loading, float threshold, int temporal_samples, const Any& samples, const Any& image) {
        const AdaptiveMethod method{static_cast<AdaptiveKind>(kind),
                                    static_cast<AdaptiveOver>(over),
                                    cutoff,
                                    exponent,
                                    fraction,
                                    loading,
                                    threshold,
                                    temporal_samples};
        check_adaptive(p, method);
        const Strided s = Place::strided(samples, "samples");
        const std::int64_t images = s.shape[0] * (p.compounding == Compounding::none ? p.tx_time.shape[0] : 1);
        float* target = das_array<Place>(image, "out", images * p.points.shape[0], !adaptive_is_real(p, method));
        const typename Place::WithoutGil release;
        adaptive(exec, p, method, s, target);
      },
      Place::arg("kind"), Place::arg("over"), Place::arg("cutoff"), Place::arg("exponent"), Place::arg("fraction"),
      Place::arg("loading"), Place::arg("threshold"), Place::arg("temporal_samples"), Place::arg("samples"),
      Place::arg("image"));
}

}  // namespace sonoray::bindings
