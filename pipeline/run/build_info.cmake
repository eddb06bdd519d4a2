# Writes build_info.cpp, with the state of the checkout at the time of the build; leaves an equal
# file alone, so that nothing is compiled for no reason.
#
#   cmake -DSOURCE=… -DTEMPLATE=… -DOUTPUT=… -P build_info.cmake
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --tags
                OUTPUT_VARIABLE CFP_GIT_DESCRIBE OUTPUT_STRIP_TRAILING_WHITESPACE
                ERROR_QUIET RESULT_VARIABLE _failed)
if(_failed)
  set(CFP_GIT_DESCRIBE "unknown")
endif()
configure_file(${TEMPLATE} ${OUTPUT} @ONLY)
