# cmake -DPYTHON=<python3> -DVIVACE=<checkout> -DROOT=<header> "-DCOMPILE=<compiler and options>" -DWORK=<scratch folder>
#       -P single_header.cmake
# One file is enough: a program is compiled, linked and run with no other folder of headers.

if(NOT EXISTS ${VIVACE}/include/${ROOT})
  message("skipped: there is no ${ROOT}")
  return()
endif()

file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})
execute_process(COMMAND ${PYTHON} ${VIVACE}/cmake/amalgamate.py ${WORK}/vivace.hpp ${ROOT} COMMAND_ERROR_IS_FATAL ANY)
file(STRINGS ${WORK}/vivace.hpp left REGEX "include *[<\"]vivace/")
if(left)
  message(FATAL_ERROR "left to include: ${left}")
endif()
file(WRITE ${WORK}/other.cpp "#include \"vivace.hpp\"\n")
file(WRITE ${WORK}/main.cpp "#include \"vivace.hpp\"\n#include \"vivace.hpp\"\n"
     "int main() { return vivace::random_stream(1, 2).uniform(3) < 1 ? 0 : 1; }\n")
execute_process(COMMAND ${COMPILE} main.cpp other.cpp -o main -ltbb WORKING_DIRECTORY ${WORK} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${WORK}/main COMMAND_ERROR_IS_FATAL ANY)
