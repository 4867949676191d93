# pmemfs::warnings: the warning flags of every target of this project.

option(PMEMFS_WERROR "Treat warnings as errors" OFF)

add_library(pmemfs_warnings INTERFACE)
add_library(pmemfs::warnings ALIAS pmemfs_warnings)

target_compile_options(pmemfs_warnings INTERFACE
  -Wall
  -Wextra
  -Wpedantic
  -Wshadow
  -Wconversion
  -Wsign-conversion
  -Wcast-align
  -Wcast-qual
  -Wformat=2
  -Wimplicit-fallthrough
  -Wundef
  -Wvla
  # Operation tables name only the members they set; the rest is zero, as meant.
  -Wno-missing-field-initializers
  $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes>
  $<$<COMPILE_LANGUAGE:CXX>:-Wextra-semi>
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>
  $<$<COMPILE_LANGUAGE:CXX>:-Wold-style-cast>
  $<$<COMPILE_LANGUAGE:CXX>:-Woverloaded-virtual>
  $<$<BOOL:${PMEMFS_WERROR}>:-Werror>)

# Left out:
# -Wnull-dereference   gcc 12 reports inlined library code as soon as a sanitizer is on.
# -Wuseless-cast       a cast between off_t and std::int64_t is needed on one machine
#                      and useless on the next.

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(pmemfs_warnings INTERFACE
    -Wduplicated-branches
    -Wduplicated-cond
    -Wlogical-op)
elseif(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  # The lock annotations are proven by clang alone, so they are errors there always.
  target_compile_options(pmemfs_warnings INTERFACE
    -Wthread-safety
    -Werror=thread-safety
    # As in gcc: a format that comes with its va_list was checked where it was written.
    -Wno-format-nonliteral)
endif()
