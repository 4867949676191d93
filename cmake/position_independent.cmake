# Makes POSITION_INDEPENDENT_CODE reach the linker as well: executables become PIEs.
include(CheckPIESupported)
check_pie_supported()
