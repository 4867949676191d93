# pmemfs::fuse3: libfuse, the one that scripts/setup built or else the system's.
#
# scripts/setup reads the minimum from the next line.
set(PMEMFS_FUSE3_MINIMUM 3.18.3)

if(DEFINED ENV{PMEMFS_DEPS_DIR})
  set(pmemfs_default_deps_dir "$ENV{PMEMFS_DEPS_DIR}")
else()
  set(pmemfs_default_deps_dir "${PROJECT_SOURCE_DIR}/.deps")
endif()
set(PMEMFS_DEPS_DIR "${pmemfs_default_deps_dir}" CACHE PATH
  "Folder in which scripts/setup keeps the libraries that it built")

find_package(PkgConfig REQUIRED)

file(GLOB pmemfs_built_fuse3 LIST_DIRECTORIES true "${PMEMFS_DEPS_DIR}/libfuse-*")
list(SORT pmemfs_built_fuse3 COMPARE NATURAL ORDER DESCENDING)
list(TRANSFORM pmemfs_built_fuse3 APPEND "/lib/pkgconfig")

# FindPkgConfig remembers what it found; another folder means searching again.
if(NOT "${pmemfs_built_fuse3}" STREQUAL "${PMEMFS_FUSE3_SEARCHED}")
  get_cmake_property(pmemfs_cached CACHE_VARIABLES)
  list(FILTER pmemfs_cached INCLUDE REGEX "PMEMFS_FUSE3_PC")
  foreach(variable IN LISTS pmemfs_cached)
    unset(${variable} CACHE)
  endforeach()
  set(PMEMFS_FUSE3_SEARCHED "${pmemfs_built_fuse3}" CACHE INTERNAL "")
endif()

set(pmemfs_saved_pkg_config_path "$ENV{PKG_CONFIG_PATH}")
list(JOIN pmemfs_built_fuse3 ":" pmemfs_built_fuse3_path)
set(ENV{PKG_CONFIG_PATH} "${pmemfs_built_fuse3_path}:${pmemfs_saved_pkg_config_path}")
pkg_check_modules(PMEMFS_FUSE3_PC QUIET IMPORTED_TARGET "fuse3>=${PMEMFS_FUSE3_MINIMUM}")
set(ENV{PKG_CONFIG_PATH} "${pmemfs_saved_pkg_config_path}")

if(NOT PMEMFS_FUSE3_PC_FOUND)
  message(FATAL_ERROR
    "libfuse ${PMEMFS_FUSE3_MINIMUM} or newer is not here: neither in ${PMEMFS_DEPS_DIR} nor "
    "among the system's packages. Run scripts/setup first: it installs or builds it.")
endif()
message(STATUS "libfuse ${PMEMFS_FUSE3_PC_VERSION}: ${PMEMFS_FUSE3_PC_LINK_LIBRARIES}")

add_library(pmemfs_fuse3 INTERFACE)
add_library(pmemfs::fuse3 ALIAS pmemfs_fuse3)
target_link_libraries(pmemfs_fuse3 INTERFACE PkgConfig::PMEMFS_FUSE3_PC Threads::Threads)
target_compile_definitions(pmemfs_fuse3 INTERFACE
  FUSE_USE_VERSION=318 # FUSE_MAKE_VERSION(3, 18)
  _FILE_OFFSET_BITS=64)
