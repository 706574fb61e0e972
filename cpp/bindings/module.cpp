#include "bindings/bind_beamforming.h"
#include "bindings/bind_core.h"
#include "bindings/bind_finite_frequency.h"
#include "bindings/bind_picking.h"
#include "bindings/bind_linking.h"
#include "bindings/bind_rays.h"
#include "bindings/bind_tomography.h"
#include "bindings/bind_tracing.h"
#include "bindings/host_arrays.h"
#include "core/dispatch.h"
#include "core/for_each.h"

using namespace sonoray;
using bindings::Host;

PYBIND11_MODULE(_cpu, m) {
  m.doc() = "Compiled core of sonoray on the host.";
  bindings::translate_errors(m);
  bindings::bind_core<Host>(m);
  bindings::bind_beamforming<Host>(m);
  bindings::bind_rays<Host>(m);
  bindings::bind_finite_frequency<Host>(m);
  bindings::bind_picking<Host>(m);
  bindings::bind_tomography<Host>(m);
  bindings::bind_tomography_host<Host>(m);
  bindings::bind_linking<Host>(m);
  bindings::bind_tracing<Host>(m);
  m.def("make_field_2d_temporary", [](std::vector<std::int64_t> shape, int kind, Host::Array<const double, 1> samples) {
    interpolation::Points<2> points{{shape[0], shape[1]}, {1, 1}, {0, 0}};
    bindings::py::array_t<double> out(interpolation::field_size<2>(points, interpolation::Kind(kind)));
    interpolation::make_field<2>(Cpu{}, points, interpolation::Kind(kind), samples.data(), out.mutable_data());
    return out;
  });
  m.def("make_field_3d_temporary", [](std::vector<std::int64_t> shape, int kind, Host::Array<const double, 1> samples) {
    interpolation::Points<3> points{{shape[0], shape[1], shape[2]}, {1, 1, 1}, {0, 0, 0}};
    bindings::py::array_t<double> out(interpolation::field_size<3>(points, interpolation::Kind(kind)));
    interpolation::make_field<3>(Cpu{}, points, interpolation::Kind(kind), samples.data(), out.mutable_data());
    return out;
  });
  m.def("thread_count", [] { return thread_count(Cpu{}); });
  m.def("cpu_level", [] { return static_cast<int>(cpu_level()); });
  m.def("set_cpu_level", [](int level) { set_cpu_level(static_cast<CpuLevel>(level)); }, Host::arg("level"));
}
