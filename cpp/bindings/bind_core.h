#pragma once
#include <cstdint>

#include "core/device.h"

namespace sonoray::bindings {

template <class Place>
void bind_core(typename Place::Module& m) {
  m.def("device_count", [] { return device_count(typename Place::Exec{}); });
  m.def(
      "synchronise", [](int index, std::uintptr_t stream) { synchronise(Place::exec(index, stream)); },
      Place::arg("index"), Place::arg("stream"), typename Place::ReleaseGil());
}

}  // namespace sonoray::bindings
