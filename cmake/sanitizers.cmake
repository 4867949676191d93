# Sanitizers for the whole build: they must be in every object that is linked together.

set(PMEMFS_SANITIZE "" CACHE STRING
  "Sanitizers of the build: empty, \"address;undefined\" or \"thread\"")

if(PMEMFS_SANITIZE)
  list(JOIN PMEMFS_SANITIZE "," pmemfs_sanitizers)
  add_compile_options(
    -fsanitize=${pmemfs_sanitizers}
    -fno-sanitize-recover=all
    -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${pmemfs_sanitizers})
  # Only in code that a sanitizer has instrumented does gcc 12 report this falsely
  # (its manual warns of it, under -fsanitize=address).
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-maybe-uninitialized)
  endif()
endif()
