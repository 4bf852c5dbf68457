# The Python modules: nasturtium._core and nasturtium.kernels._cpu.
find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module)
find_package(pybind11 2.13 CONFIG REQUIRED)

# NO_EXTRAS leaves out link-time optimization and the unity build shares pybind11's headers:
# together a quarter of the default's compile time, at the same speed.
file(GLOB bind_sources CONFIGURE_DEPENDS csrc/bind/*.cc)
pybind11_add_module(_core MODULE NO_EXTRAS ${bind_sources})
set_target_properties(_core PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
# Most of the compile time is pybind11's, whose code hands arguments on.
target_compile_options(_core PRIVATE $<$<CONFIG:Release>:-O1>)
# The whole archive, so that the functions of the C header can be called in the module as well.
target_link_libraries(_core PRIVATE $<LINK_LIBRARY:WHOLE_ARCHIVE,core>
                      nasturtium_flags nasturtium_baseline)
install(TARGETS _core LIBRARY DESTINATION "${module_dir}")

# Each kernel is compiled once per instruction set, in a namespace of that name; the module picks
# one at run time. Contraction is allowed here: a fused multiply-add is what these loops are made of.
find_package(OpenMP REQUIRED COMPONENTS CXX)
pybind11_add_module(_cpu MODULE NO_EXTRAS kernels/bind.cc kernels/bind_mixed.cc
                    kernels/bind_cell.cc kernels/bind_aggregated.cc)
set_target_properties(_cpu PROPERTIES UNITY_BUILD ON)
# A call of a kernel is long: what hands its arguments on needs few optimizations.
target_compile_options(_cpu PRIVATE $<$<CONFIG:Release>:-O1>)
target_link_libraries(_cpu PRIVATE nasturtium_flags OpenMP::OpenMP_CXX)
if(is_x86)
  set(isas v2 v3 v4)
else()
  set(isas generic)
endif()
file(GLOB kernel_sources CONFIGURE_DEPENDS kernels/*/*.cc)
# Those that share their templates are one unit.
set_source_files_properties(kernels/cell/cpu.cc kernels/mix/cpu.cc kernels/mixed_op/cpu.cc
                            kernels/separable/cpu.cc PROPERTIES UNITY_GROUP channels_last)
foreach(isa IN LISTS isas)
  add_library(kernels_${isa} OBJECT ${kernel_sources})
  set_target_properties(kernels_${isa} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  target_compile_definitions(kernels_${isa} PRIVATE NASTURTIUM_ISA=${isa})
  target_compile_options(kernels_${isa} PRIVATE -ffp-contract=fast -fno-math-errno -Wno-psabi)
  if(is_x86)
    target_compile_options(kernels_${isa} PRIVATE -march=x86-64-${isa})
  endif()
  target_include_directories(kernels_${isa} PRIVATE ${PROJECT_SOURCE_DIR}/kernels)
  target_link_libraries(kernels_${isa} PRIVATE nasturtium_flags OpenMP::OpenMP_CXX)
  target_link_libraries(_cpu PRIVATE kernels_${isa})
endforeach()
target_compile_definitions(_cpu PRIVATE $<$<BOOL:${is_x86}>:NASTURTIUM_X86>)
target_include_directories(_cpu PRIVATE ${PROJECT_SOURCE_DIR}/kernels)
install(TARGETS _cpu LIBRARY DESTINATION "${module_dir}/kernels")
