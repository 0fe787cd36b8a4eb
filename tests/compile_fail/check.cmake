# cmake -DCOMPILER=<C++ compiler> -DINCLUDE_DIR=<of vivace> -P check.cmake SOURCE

math(EXPR last "${CMAKE_ARGC} - 1")
set(source ${CMAKE_ARGV${last}})
file(STRINGS ${source} first_line LIMIT_COUNT 1)

set(ENV{LC_ALL} C)
execute_process(COMMAND ${COMPILER} -std=c++20 -fsyntax-only -I${INCLUDE_DIR} ${source}
                RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
string(REPEAT "\n" 10 line_ends)
string(REPEAT "[^\n]*\n" 10 ten_lines)
string(REGEX MATCH "^${ten_lines}" head "${output}${line_ends}")

if(first_line STREQUAL "// compiles")
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${source} should compile, but:\n${output}")
  endif()
elseif(first_line MATCHES "^// expect: (.+)$")
  set(expected "${CMAKE_MATCH_1}")
  if(result EQUAL 0)
    message(FATAL_ERROR "${source} compiles, but should not")
  elseif(NOT head MATCHES "${expected}")
    message(FATAL_ERROR "the first ten lines do not match: ${expected}\n${head}")
  endif()
  message("${head}")
else()
  message(FATAL_ERROR "${source} starts neither with `// expect: REGEX` nor with `// compiles`")
endif()
