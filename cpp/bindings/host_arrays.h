#pragma once
// pybind11's side of the binding templates: NumPy arrays in host memory. device_arrays.h is its twin.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <string>

#include "core/error.h"
#include "core/exec.h"
#include "core/strided.h"
#include "core/view.h"

namespace sonoray::bindings {

namespace py = pybind11;

struct Host {
  using Exec = Cpu;
  using Module = py::module_;
  using ReleaseGil = py::call_guard<py::gil_scoped_release>;
  using WithoutGil = py::gil_scoped_release;  ///< around the long part of a call, once no array is touched

  /// A C-ordered array of exactly this type; anything else is refused, never converted. `T` may be const.
  template <class T, int N>
  using Array = py::array_t<std::remove_const_t<T>, py::array::c_style>;

  /// An array of any type and strides, for functions that take several.
  using AnyArray = py::array;

  static Strided strided(const py::array& array, const char* name) {
    require(array.ndim() <= 5, std::string(name) + ": expected at most 5 axes, got " + std::to_string(array.ndim()));
    Strided s;
    s.data = array.data();
    s.kind = array.dtype().byteorder() == '>' ? '>' : array.dtype().kind();
    s.item_size = static_cast<int>(array.itemsize());
    s.n_axes = static_cast<int>(array.ndim());
    for (int d = 0; d < s.n_axes; ++d) {
      s.shape[d] = array.shape(d);
      s.stride[d] = array.strides(d);
    }
    return s;
  }

  static py::arg arg(const char* name) { return py::arg(name).noconvert(); }
  static py::kw_only kw_only() { return {}; }

  /// `index` counts threads, 0 for all; `stream` has no meaning here.
  static Cpu exec(int index, std::uintptr_t) { return Cpu{index}; }

  template <class T, int N, class A>
  static View<T, N> view(A& array, const char* name) {
    require(array.ndim() == N,
            std::string(name) + ": expected " + std::to_string(N) + " axes, got " + std::to_string(array.ndim()));
    View<T, N> v;
    if constexpr (std::is_const_v<T>) {
      v.data = array.data();
    } else {
      require(array.writeable(), std::string(name) + ": expected a writable array, got a read-only one");
      v.data = array.mutable_data();
    }
    for (int d = 0; d < N; ++d) v.shape[d] = array.shape(d);
    return v;
  }

  template <class T, int N, class A>
  static View<T, N> view(std::optional<A>& array, const char* name) {
    return array ? view<T, N>(*array, name) : View<T, N>{};
  }
};

/// Makes ArgumentError and DeviceError arrive as the classes of sonoray.errors.
inline void translate_errors(py::module_&) {
  static PyObject* argument = py::object(py::module_::import("sonoray.errors").attr("ArgumentError")).release().ptr();
  static PyObject* device = py::object(py::module_::import("sonoray.errors").attr("DeviceError")).release().ptr();
  py::register_local_exception_translator([](std::exception_ptr p) {
    try {
      if (p) std::rethrow_exception(p);
    } catch (const ArgumentError& e) {
      PyErr_SetString(argument, e.what());
    } catch (const DeviceError& e) {
      PyErr_SetString(device, e.what());
    }
  });
}

}  // namespace sonoray::bindings
