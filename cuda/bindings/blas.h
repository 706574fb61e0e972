#pragma once
#include <complex>

#include "bindings/device_arrays.h"
#include "core/blas.h"

namespace sonoray::bindings {

inline void bind_blas(nb::module_& m) {
  using Complex = std::complex<float>;
  using Waves = Device::Array<const Complex, 3>;
  using WavesOut = Device::Array<Complex, 3>;
  using Matrix = Device::Array<const Complex, 2>;
  using MatrixOut = Device::Array<Complex, 2>;
  const auto rows = [](auto& waves) {
    auto v = Device::view<std::remove_pointer_t<decltype(waves.data())>, 3>(waves, "waves");
    return View<std::remove_pointer_t<decltype(v.data)>, 2>{v.data, {v.shape[0] * v.shape[1], v.shape[2]}};
  };
  nb::class_<DeviceBlas>(m, "Blas")
      .def(nb::init<int>(), nb::arg("index"))
      .def_prop_ro("has_library", &DeviceBlas::has_library)
      .def(
          "gram",
          [rows](const DeviceBlas& self, Waves a, Waves b, bool add, MatrixOut out, int index, std::uintptr_t stream) {
            self.product(Device::exec(index, stream), true, rows(a), rows(b), add ? 1.0f : 0.0f,
                         Device::view<Complex, 2>(out, "out"));
          },
          nb::arg("a").noconvert(), nb::arg("b").noconvert(), nb::arg("add"), nb::arg("out").noconvert(),
          nb::arg("index"), nb::arg("stream"), "out (m, n) = or += a' b of waves (planes, points, m), (.., n).")
      .def(
          "times",
          [rows](const DeviceBlas& self, Waves a, Matrix b, WavesOut out, int index, std::uintptr_t stream) {
            self.product(Device::exec(index, stream), false, rows(a), Device::view<const Complex, 2>(b, "b"), 0.0f,
                         rows(out));
          },
          nb::arg("a").noconvert(), nb::arg("b").noconvert(), nb::arg("out").noconvert(), nb::arg("index"),
          nb::arg("stream"), "out (planes, points, n) = a b of waves (planes, points, m) and a matrix (m, n).");
}

}  // namespace sonoray::bindings
