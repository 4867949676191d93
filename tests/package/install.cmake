# Installs the component libpmem of BUILD_DIR as a package's build does, below a
# DESTDIR for the prefix /opt/pmemfs, and then moves it to PREFIX: what is
# installed must work wherever it comes to lie.
set(stage ${PREFIX}.stage)
file(REMOVE_RECURSE ${PREFIX} ${stage})
set(ENV{DESTDIR} ${stage})
execute_process(
  COMMAND ${CMAKE_COMMAND} --install ${BUILD_DIR}
    --component libpmem --prefix /opt/pmemfs
  COMMAND_ERROR_IS_FATAL ANY)
file(RENAME ${stage}/opt/pmemfs ${PREFIX})
file(REMOVE_RECURSE ${stage})
