# Finds LibTorch and defines the imported target LibTorch::LibTorch.
#
# Takes either a LibTorch archive or the folder of a PyTorch wheel (site-packages/torch), CPU or
# CUDA. PyTorch's own package file asks for a CUDA toolkit when the wheel was built with CUDA,
# although running needs none; this module only asks for the libraries that are there.
#
# Looked at, in this order: Torch_ROOT, CMAKE_PREFIX_PATH, and the project's virtual environment.

file(GLOB _venv_torch "${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch")
set(_torch_hints ${Torch_ROOT} $ENV{Torch_ROOT} ${CMAKE_PREFIX_PATH} ${_venv_torch})

find_path(LibTorch_INCLUDE_DIR ATen/core/Tensor.h
          HINTS ${_torch_hints} PATH_SUFFIXES include torch/include)
get_filename_component(_torch_home "${LibTorch_INCLUDE_DIR}" DIRECTORY)
foreach(_name torch torch_cpu c10)
  find_library(LibTorch_${_name}_LIBRARY ${_name} HINTS ${_torch_home}/lib NO_DEFAULT_PATH)
endforeach()
foreach(_name torch_cuda c10_cuda)
  find_library(LibTorch_${_name}_LIBRARY ${_name} HINTS ${_torch_home}/lib NO_DEFAULT_PATH)
  mark_as_advanced(LibTorch_${_name}_LIBRARY)
endforeach()

set(LibTorch_VERSION "")
foreach(_header headeronly/version.h csrc/api/include/torch/version.h)
  if(NOT LibTorch_VERSION AND EXISTS "${LibTorch_INCLUDE_DIR}/torch/${_header}")
    file(STRINGS "${LibTorch_INCLUDE_DIR}/torch/${_header}" _version_lines
         REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) [0-9]+")
    list(TRANSFORM _version_lines REPLACE ".* ([0-9]+)$" "\\1")
    list(JOIN _version_lines "." LibTorch_VERSION)
  endif()
endforeach()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  LibTorch
  REQUIRED_VARS LibTorch_torch_LIBRARY LibTorch_torch_cpu_LIBRARY LibTorch_c10_LIBRARY
                LibTorch_INCLUDE_DIR
  VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE "Run scripts/setup, or set Torch_ROOT to a LibTorch folder.")

if(LibTorch_FOUND AND NOT TARGET LibTorch::LibTorch)
  add_library(LibTorch::LibTorch INTERFACE IMPORTED)
  target_include_directories(LibTorch::LibTorch SYSTEM INTERFACE
                             ${LibTorch_INCLUDE_DIR}
                             ${LibTorch_INCLUDE_DIR}/torch/csrc/api/include)
  # LibTorch's headers bring their own fmt without its library. Where they are seen, fmt is compiled
  # into each file, which costs seconds: so only targets that need these headers should link this.
  target_compile_definitions(LibTorch::LibTorch INTERFACE FMT_HEADER_ONLY=1)
  set(_libraries ${LibTorch_torch_LIBRARY} ${LibTorch_torch_cpu_LIBRARY} ${LibTorch_c10_LIBRARY})
  if(LibTorch_torch_cuda_LIBRARY AND LibTorch_c10_cuda_LIBRARY)
    # Nothing in our sources names a symbol of the CUDA library; it registers its kernels when it
    # is loaded, so the linker must not drop it.
    list(APPEND _libraries "-Wl,--no-as-needed" ${LibTorch_torch_cuda_LIBRARY}
         ${LibTorch_c10_cuda_LIBRARY} "-Wl,--as-needed")
  endif()
  # LibTorch's own OpenMP runtime, where it brings one: a second one beside it would start a second
  # pool of threads.
  file(GLOB _openmp_runtime ${_torch_home}/lib/libgomp*.so* ${_torch_home}/lib/libiomp5.so)
  list(APPEND _libraries ${_openmp_runtime})
  target_link_libraries(LibTorch::LibTorch INTERFACE ${_libraries})
  set(LibTorch_LIBRARY_DIR ${_torch_home}/lib)
endif()
mark_as_advanced(LibTorch_INCLUDE_DIR LibTorch_torch_LIBRARY LibTorch_torch_cpu_LIBRARY
                 LibTorch_c10_LIBRARY)
