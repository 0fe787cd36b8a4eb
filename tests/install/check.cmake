# cmake -DHOW=package|subdirectory|fetch_content -DVIVACE=<checkout> -DBUILD=<build folder of vivace>
#       -DCOMPILER=<C++ compiler> -DGENERATOR=<of CMake> -DWORK=<scratch folder> -P check.cmake

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  set(output "${output}" PARENT_SCOPE)
  if(NOT result EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}\n${output}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
set(consumer ${CMAKE_CURRENT_LIST_DIR}/consumer)
set(configure ${CMAKE_COMMAND} -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_BUILD_TYPE=Release)

if(HOW STREQUAL "package")
  # Installed in one place, used from another.
  run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/installed)
  file(RENAME ${WORK}/installed ${WORK}/moved)
  list(APPEND configure -DCMAKE_PREFIX_PATH=${WORK}/moved)

  file(GLOB package_files ${WORK}/moved/share/cmake/vivace/*)
  foreach(file IN LISTS package_files)
    file(READ ${file} text)
    foreach(leak "-march" "-W[a-z]" ${VIVACE} ${BUILD} ${WORK})
      if(text MATCHES "${leak}")
        message(FATAL_ERROR "${file} contains ${leak}")
      endif()
    endforeach()
  endforeach()

  # A component that there is not, or whose library there is not, is named in the error; an optional one is left out.
  function(expect_error components text)
    file(WRITE ${WORK}/missing/CMakeLists.txt "cmake_minimum_required(VERSION 3.25)\nproject(missing LANGUAGES CXX)\n"
         "find_package(vivace REQUIRED ${components})\n")
    execute_process(COMMAND ${configure} -DCMAKE_DISABLE_FIND_PACKAGE_TBB=ON -S ${WORK}/missing -B ${WORK}/missing/build
                    RESULT_VARIABLE result OUTPUT_QUIET ERROR_VARIABLE error)
    if(text STREQUAL "")
      if(NOT result EQUAL 0)
        message(FATAL_ERROR "find_package(vivace ${components}):\n${error}")
      endif()
    elseif(result EQUAL 0 OR NOT error MATCHES "${text}")
      message(FATAL_ERROR "find_package(vivace ${components}) does not say `${text}`:\n${error}")
    endif()
  endfunction()
  expect_error("COMPONENTS nonsense" "component nonsense")
  expect_error("COMPONENTS tbb" "component tbb: found no TBB")
  expect_error("OPTIONAL_COMPONENTS tbb" "")
endif()

run(${configure} -DHOW=${HOW} -DVIVACE=${VIVACE} -DFETCHCONTENT_FULLY_DISCONNECTED=ON -S ${consumer} -B ${WORK}/build)
run(${CMAKE_COMMAND} --build ${WORK}/build)
run(${WORK}/build/consumer)

# What is compiled once is not in the program's own file.
run(${WORK}/build/precompiled)
find_program(nm nm REQUIRED)
file(GLOB_RECURSE object ${WORK}/build/CMakeFiles/precompiled.dir/precompiled.cpp.o)
run(${nm} --demangle ${object})
set(engine "[^\n]*::training_engine<float>::")  # which of its functions a file calls is the compiler's choice
if(NOT output MATCHES " U ${engine}" OR output MATCHES " [WT] ${engine}(set_inputs|run_epoch|reserve_records)")
  message(FATAL_ERROR "vivace::precompiled leaves training_engine to each file:\n${output}")
endif()

# The consumer's own flags reach the compiler, and none of ours.
file(READ ${WORK}/build/compile_commands.json commands)
if(NOT commands MATCHES " -Wall -Werror" OR commands MATCHES "-march|-Wextra|-Wpedantic|-Wshadow|-Wconversion")
  message(FATAL_ERROR "flags of the consumer's compiler:\n${commands}")
endif()

# Inside of another project, vivace brings no tests, and nothing is installed but what that project installs.
run(${CMAKE_CTEST_COMMAND} --test-dir ${WORK}/build --show-only)
if(NOT output MATCHES "Total Tests: 0")
  message(FATAL_ERROR "the consumer has tests:\n${output}")
endif()
run(${CMAKE_COMMAND} --install ${WORK}/build --prefix ${WORK}/consumer_installed)
file(GLOB_RECURSE installed RELATIVE ${WORK}/consumer_installed ${WORK}/consumer_installed/*)
if(NOT installed STREQUAL "bin/consumer")
  message(FATAL_ERROR "the consumer installs: ${installed}")
endif()
