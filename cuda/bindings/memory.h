#pragma once
#include <complex>
#include <string>
#include <vector>

#include "bindings/device_arrays.h"
#include "core/device.h"
#include "core/memory.h"

namespace sonoray::bindings {

using AnyHost = nb::ndarray<nb::c_contig, nb::device::cpu>;
using AnyDevice = nb::ndarray<nb::c_contig, nb::device::cuda>;

inline nb::dlpack::dtype dtype_of(const std::string& name) {
  if (name == "float32") return nb::dtype<float>();
  if (name == "float64") return nb::dtype<double>();
  if (name == "int16") return nb::dtype<std::int16_t>();
  if (name == "int32") return nb::dtype<std::int32_t>();
  if (name == "int64") return nb::dtype<std::int64_t>();
  if (name == "uint8") return nb::dtype<std::uint8_t>();
  if (name == "complex64") return nb::dtype<std::complex<float>>();
  throw ArgumentError("dtype: expected float32, float64, complex64, int16, int32 or uint8, got " + name);
}

/// An owning device array that speaks DLPack; the memory goes when the last reference does.
inline nb::ndarray<nb::array_api> device_empty(const std::vector<std::size_t>& shape, const std::string& dtype,
                                               int index) {
  const nb::dlpack::dtype type = dtype_of(dtype);
  std::size_t bytes = type.bits / 8;
  for (std::size_t n : shape) bytes *= n;
  struct Owner {
    Cuda exec;
    void* data;
  };
  auto* owner = new Owner{Cuda{index}, nullptr};
  nb::capsule release(owner, [](void* p) noexcept {
    auto* o = static_cast<Owner*>(p);
    if (o->data) device_free(o->exec, o->data);
    delete o;
  });
  owner->data = device_allocate(owner->exec, bytes);
  return nb::ndarray<nb::array_api>(owner->data, shape.size(), shape.data(), release, nullptr, type,
                                    nb::device::cuda::value, index);
}

inline void bind_memory(nb::module_& m) {
  m.def("empty", &device_empty, nb::arg("shape"), nb::arg("dtype"), nb::arg("index"));
  m.def(
      "copy_to_device",
      [](AnyDevice to, AnyHost from, int index, std::uintptr_t stream) {
        require(to.nbytes() == from.nbytes(), "copy_to_device: sizes differ");
        const Cuda exec = Device::exec(index, stream);
        copy_to_device(exec, to.data(), from.data(), from.nbytes());
        synchronise(exec);
      },
      nb::arg("to").noconvert(), nb::arg("from_").noconvert(), nb::arg("index"), nb::arg("stream"));
  m.def(
      "copy_to_host",
      [](AnyHost to, AnyDevice from, int index, std::uintptr_t stream) {
        require(to.nbytes() == from.nbytes(), "copy_to_host: sizes differ");
        const Cuda exec = Device::exec(index, stream);
        copy_to_host(exec, to.data(), from.data(), from.nbytes());
        synchronise(exec);
      },
      nb::arg("to").noconvert(), nb::arg("from_").noconvert(), nb::arg("index"), nb::arg("stream"));
  m.def(
      "describe",
      [](nb::ndarray<nb::ro> array) {
        std::vector<std::size_t> shape(array.ndim());
        for (std::size_t d = 0; d < array.ndim(); ++d) shape[d] = array.shape(d);
        return nb::make_tuple(shape, int(array.dtype().code), int(array.dtype().bits), array.device_type(),
                              array.device_id());
      },
      nb::arg("array").noconvert());
}

}  // namespace sonoray::bindings
