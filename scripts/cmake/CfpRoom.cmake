# One folder of sources is one static library, called after its room.
#
#   cfp_add_room(decode SOURCES a.cpp b.cpp USES cfp::core PRIVATE_USES PkgConfig::FFmpeg)
#
# USES is what the room's headers need, PRIVATE_USES what only its sources need.

add_library(cfp_options INTERFACE)
target_compile_options(cfp_options INTERFACE -Wall -Wextra -Wno-missing-field-initializers)
if(CFP_SANITIZE)
  target_compile_options(cfp_options INTERFACE -fsanitize=${CFP_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(cfp_options INTERFACE -fsanitize=${CFP_SANITIZE})
endif()
if(CFP_BUILD_FUZZERS)
  target_compile_options(cfp_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
target_link_libraries(cfp_options INTERFACE fmt::fmt Threads::Threads)

function(cfp_add_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;USES;PRIVATE_USES" ${ARGN})
  add_library(cfp_${name} STATIC ${ROOM_SOURCES})
  add_library(cfp::${name} ALIAS cfp_${name})
  target_include_directories(cfp_${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(cfp_${name} PUBLIC cfp_options ${ROOM_USES} PRIVATE ${ROOM_PRIVATE_USES})
endfunction()
