# The pages under src/web/static, compiled in.
file(GLOB web_static CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/web/static/*)
add_custom_command(
  OUTPUT ${CMAKE_BINARY_DIR}/gen/web_files.inc
  COMMAND ${CMAKE_COMMAND} -DDIR=${CMAKE_SOURCE_DIR}/src/web/static -DOUT=${CMAKE_BINARY_DIR}/gen/web_files.inc
          -P ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
  DEPENDS ${web_static} ${CMAKE_SOURCE_DIR}/cmake/embed.cmake)
target_sources(hw_web PRIVATE ${CMAKE_BINARY_DIR}/gen/web_files.inc)
