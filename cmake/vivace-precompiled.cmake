# vivace::precompiled: the parts that know no network, compiled once with the project's own flags. Programs that link it
# compile faster; all else is as with vivace::vivace.
add_library(vivace_precompiled STATIC EXCLUDE_FROM_ALL ${CMAKE_CURRENT_LIST_DIR}/precompiled.cpp)
add_library(vivace::precompiled ALIAS vivace_precompiled)
target_link_libraries(vivace_precompiled PUBLIC vivace::vivace)
target_compile_definitions(vivace_precompiled INTERFACE VIVACE_PRECOMPILED)
