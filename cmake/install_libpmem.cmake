# Installs the library as a package of its own (component libpmem): shared and
# static, header, pkg-config file, CMake package, manual pages. Libraries and
# headers have their own folders, so that they never shadow the distribution's
# libpmem unless somebody asks: LD_LIBRARY_PATH, PKG_CONFIG_PATH, CMAKE_PREFIX_PATH.

# What clients compare with ("libpmem >= 1.12"): not pmemfs's own version, but that
# of the original. Its release 1.13 has exactly our 23 functions, and brought no new
# one to libpmem; only 2.1 did.
set(libpmem_api_version 1.13.0)

set(libpmem_library_dir ${CMAKE_INSTALL_LIBDIR}/pmemfs)
set(libpmem_include_dir ${CMAKE_INSTALL_INCLUDEDIR}/pmemfs)

# --- the static library ---
# One object that defines the C interface and nothing else: all of pmem_core, with
# its C++ names made local, so that they cannot clash with those of a program
# (other libraries for persistent memory have a namespace pmem as well).
# Instrumented builds have none: nobody could link it.
if(NOT PMEMFS_SANITIZE)
  # GNU's, whatever the compiler: lld cannot dissolve section groups.
  find_program(PMEMFS_GNU_LD NAMES ld.bfd ld REQUIRED)
  find_program(PMEMFS_GNU_OBJCOPY NAMES objcopy REQUIRED)
  mark_as_advanced(PMEMFS_GNU_LD PMEMFS_GNU_OBJCOPY)
  set(libpmem_archive ${CMAKE_BINARY_DIR}/lib/libpmem.a)
  set(libpmem_object ${CMAKE_CURRENT_BINARY_DIR}/libpmem.o)
  add_custom_command(OUTPUT ${libpmem_archive}
    COMMAND ${PMEMFS_GNU_LD} -r --force-group-allocation
      --whole-archive $<TARGET_FILE:pmem_core> -o ${libpmem_object}
    COMMAND ${PMEMFS_GNU_OBJCOPY} --wildcard --keep-global-symbol=pmem_* ${libpmem_object}
    COMMAND ${CMAKE_COMMAND} -E rm -f ${libpmem_archive}
    COMMAND ${CMAKE_AR} qcsD ${libpmem_archive} ${libpmem_object}
    DEPENDS pmem_core
    COMMENT "Linking static library lib/libpmem.a"
    VERBATIM)
  add_custom_target(pmem_archive ALL DEPENDS ${libpmem_archive})
  install(FILES ${libpmem_archive}
    DESTINATION ${libpmem_library_dir} COMPONENT libpmem)
endif()

# --- what helps to find it ---
# Paths from the file that names them to what it names.
set(libpmem_full_dir ${CMAKE_INSTALL_FULL_LIBDIR}/pmemfs)
file(RELATIVE_PATH pc_to_include
  ${libpmem_full_dir}/pkgconfig ${CMAKE_INSTALL_FULL_INCLUDEDIR}/pmemfs)
file(RELATIVE_PATH cmake_to_include
  ${libpmem_full_dir}/cmake ${CMAKE_INSTALL_FULL_INCLUDEDIR}/pmemfs)
get_target_property(libpmem_version pmem VERSION)
get_target_property(libpmem_soversion pmem SOVERSION)
set(libpmem_shared_file libpmem.so.${libpmem_version})
set(libpmem_soname libpmem.so.${libpmem_soversion})

set(libpmem_templates ${PROJECT_SOURCE_DIR}/packaging/libpmem)
set(libpmem_generated ${CMAKE_CURRENT_BINARY_DIR}/package)
configure_file(${libpmem_templates}/libpmem.pc.in
  ${libpmem_generated}/libpmem.pc @ONLY)
configure_file(${libpmem_templates}/libpmem-config.cmake.in
  ${libpmem_generated}/libpmem-config.cmake @ONLY)
include(CMakePackageConfigHelpers)
write_basic_package_version_file(${libpmem_generated}/libpmem-config-version.cmake
  VERSION ${libpmem_api_version}
  COMPATIBILITY SameMajorVersion)

# --- installation ---
install(TARGETS pmem
  LIBRARY DESTINATION ${libpmem_library_dir} COMPONENT libpmem)
install(FILES ${PROJECT_SOURCE_DIR}/lib/include/libpmem.h
  DESTINATION ${libpmem_include_dir} COMPONENT libpmem)
install(FILES ${libpmem_generated}/libpmem.pc
  DESTINATION ${libpmem_library_dir}/pkgconfig COMPONENT libpmem)
install(FILES
    ${libpmem_generated}/libpmem-config.cmake
    ${libpmem_generated}/libpmem-config-version.cmake
  DESTINATION ${libpmem_library_dir}/cmake COMPONENT libpmem)
install(FILES
    ${PROJECT_SOURCE_DIR}/docs/pmem_is_pmem.3
    ${PROJECT_SOURCE_DIR}/docs/pmem_map_file.3
    ${PROJECT_SOURCE_DIR}/docs/pmem_unmap.3
  DESTINATION ${CMAKE_INSTALL_MANDIR}/man3 COMPONENT libpmem)
install(FILES ${PROJECT_SOURCE_DIR}/docs/libpmem.7
  DESTINATION ${CMAKE_INSTALL_MANDIR}/man7 COMPONENT libpmem)
