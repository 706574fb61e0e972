# The C and C++ package: libsonoray.so, libsonoray.a, headers, find_package(sonoray), pkg-config.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

add_library(sonoray_capi OBJECT
  cpp/capi/capi.cpp
  cpp/capi/place.cpp
  cpp/capi/network.cpp
  cpp/capi/pipeline.cpp
  cpp/capi/settings.cpp
  cpp/capi/stream.cpp
  cpp/capi/tables.cpp
)
target_link_libraries(sonoray_capi PRIVATE sonoray_cpu)
target_compile_options(sonoray_capi PRIVATE -Wall -Wextra)
target_compile_definitions(sonoray_capi PRIVATE SONORAY_VERSION="${PROJECT_VERSION}")
if(SONORAY_ONNXRUNTIME)
  find_path(SONORAY_ONNXRUNTIME_INCLUDE onnxruntime_c_api.h REQUIRED NO_DEFAULT_PATH PATHS "${SONORAY_ONNXRUNTIME}"
            PATH_SUFFIXES include include/onnxruntime include/onnxruntime/core/session)
  find_library(SONORAY_ONNXRUNTIME_LIBRARY NAMES onnxruntime libonnxruntime.so.1 REQUIRED NO_DEFAULT_PATH
               PATHS "${SONORAY_ONNXRUNTIME}" PATH_SUFFIXES lib lib64)
  target_sources(sonoray_capi PRIVATE cpp/capi/onnx_session.cpp)
  target_include_directories(sonoray_capi PRIVATE "${SONORAY_ONNXRUNTIME_INCLUDE}")
  target_compile_definitions(sonoray_capi PRIVATE SONORAY_HAS_ONNXRUNTIME)
  # By name, which the installed package looks up anew: no path of this machine goes with it.
  add_library(onnxruntime::onnxruntime SHARED IMPORTED)
  set_target_properties(onnxruntime::onnxruntime PROPERTIES IMPORTED_LOCATION "${SONORAY_ONNXRUNTIME_LIBRARY}")
  set(inference onnxruntime::onnxruntime)
endif()

# Where device = SONORAY_CUDA runs, or the refusal.
if(SONORAY_HAVE_CUDA)
  find_package(CUDAToolkit REQUIRED)
  add_library(sonoray_place OBJECT cuda/capi/place.cu cuda/imaging/display.cu cuda/imaging/envelope.cu)
  target_include_directories(sonoray_place PRIVATE cpp cuda)
  set(place $<TARGET_OBJECTS:sonoray_place> $<TARGET_OBJECTS:sonoray_cuda_das>)
  set(runtime CUDA::cudart_static)
else()
  add_library(sonoray_place OBJECT cpp/capi/no_device.cpp)
  target_include_directories(sonoray_place PRIVATE cpp)
  target_compile_options(sonoray_place PRIVATE -Wall -Wextra)
  set(place $<TARGET_OBJECTS:sonoray_place>)
endif()

set(objects $<TARGET_OBJECTS:sonoray_capi> $<TARGET_OBJECTS:sonoray_cpu> ${place})
foreach(level IN LISTS levels)
  list(APPEND objects $<TARGET_OBJECTS:sonoray_${level}>)
endforeach()
add_library(sonoray SHARED ${objects})
add_library(sonoray_static STATIC ${objects})
foreach(library sonoray sonoray_static)
  set_target_properties(${library} PROPERTIES LINKER_LANGUAGE CXX OUTPUT_NAME sonoray)
  target_compile_features(${library} INTERFACE cxx_std_17)
  target_include_directories(${library} INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(${library} PRIVATE Threads::Threads ${inference} ${runtime})
  if(SONORAY_SANITIZE)
    target_link_options(${library} PUBLIC ${sanitizers})
  endif()
endforeach()
set_target_properties(sonoray_static PROPERTIES EXPORT_NAME static)

# Before 1.0 a minor version may break the ABI, from then on a major one.
if(PROJECT_VERSION_MAJOR EQUAL 0)
  set(abi 0.${PROJECT_VERSION_MINOR})
  set(compatibility SameMinorVersion)
else()
  set(abi ${PROJECT_VERSION_MAJOR})
  set(compatibility SameMajorVersion)
endif()
set(symbols "${CMAKE_CURRENT_SOURCE_DIR}/cmake/sonoray.map")
set_target_properties(sonoray PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${abi} LINK_DEPENDS "${symbols}")
if(inference) # ONNX Runtime beside libsonoray.so is found without LD_LIBRARY_PATH
  set_target_properties(sonoray PROPERTIES INSTALL_RPATH "$ORIGIN")
endif()
# Never unloaded: threads of the shared pool may sleep in it.
target_link_options(sonoray PRIVATE "LINKER:--version-script=${symbols}" LINKER:-z,nodelete)
if(NOT SONORAY_SANITIZE)
  target_link_options(sonoray PRIVATE LINKER:--no-undefined)
endif()

install(TARGETS sonoray sonoray_static EXPORT sonorayTargets COMPONENT embed)
install(EXPORT sonorayTargets NAMESPACE sonoray:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/sonoray COMPONENT embed)
foreach(need inference runtime) # what sonoray::static leaves to the program that links it
  set(SONORAY_NEEDS_${need} OFF)
  if(${need})
    set(SONORAY_NEEDS_${need} ON)
  endif()
endforeach()
configure_package_config_file(cmake/sonorayConfig.cmake.in sonorayConfig.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/sonoray)
write_basic_package_version_file(sonorayConfigVersion.cmake COMPATIBILITY ${compatibility})
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/sonorayConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/sonorayConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/sonoray COMPONENT embed)
file(RELATIVE_PATH to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
set(private_libraries "")
if(inference)
  string(APPEND private_libraries "-lonnxruntime ")
endif()
if(runtime)
  string(APPEND private_libraries "-lcudart_static -ldl -lrt ")
endif()
configure_file(cmake/sonoray.pc.in sonoray.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/sonoray.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT embed)
install(FILES cpp/capi/sonoray.h cpp/capi/sonoray.hpp DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT embed)
set(SONORAY_HEADERS_TO "${CMAKE_INSTALL_INCLUDEDIR}/sonoray")
configure_file(cmake/install_headers.cmake.in install_headers.cmake @ONLY)
install(SCRIPT ${CMAKE_CURRENT_BINARY_DIR}/install_headers.cmake COMPONENT embed)
