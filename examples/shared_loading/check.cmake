# Runs the program as users do: cmake -DPROGRAM=... -P check.cmake, in a folder that may be filled.
# Wrong options end with status 2 and name the option.

cmake_minimum_required(VERSION 3.25)
file(REMOVE_RECURSE shared_loading_check)
file(MAKE_DIRECTORY shared_loading_check)

function(expect status text)
  execute_process(COMMAND ${PROGRAM} ${ARGN} RESULT_VARIABLE got OUTPUT_VARIABLE out ERROR_VARIABLE out TIMEOUT 300)
  if(NOT got STREQUAL status OR NOT out MATCHES "${text}")
    message(SEND_ERROR "shared_loading ${ARGN}\nended with ${got}, not ${status}, or does not say '${text}':\n${out}")
  endif()
endfunction()

expect(0 "virtual clock" --help)
foreach(wrong "--jobs 0" "--jobs -1" "--jobs 65" "--jobs many" "--items 0" "--items -5" "--items 4e99"
              "--jobs 64 --items 100000000" "--speeds 0" "--speeds 1,-2" "--speeds nan" "--speeds inf" "--speeds ,"
              "--offsets -0.5" "--offsets nan" "--offsets 1e9" "--overlap 1.5" "--overlap -1" "--overlap nan"
              "--overlap 0 --overlap-kind random" "--overlap-kind ring" "--cache -0.1" "--cache 2" "--cache nan"
              "--policy mru" "--sampler dice" "--mode X" "--max-lead -1" "--epochs 0" "--epochs 1e12" "--seed -1"
              "--speeds 0.001,1000 --items 1000000" "--json no/such/folder/f" "--json shared_loading_check")
  separate_arguments(arguments UNIX_COMMAND "${wrong}")
  string(REGEX MATCH "^--[a-z-]+" option "${wrong}")
  if(wrong MATCHES "^--jobs 64")
    set(option "--items")
  endif()
  expect(2 "${option}" ${arguments})
endforeach()
expect(2 "--colour" --colour blue)

# JSON alone, or in a file; the figures that the documentation states.
function(expect_figure least most)
  execute_process(COMMAND ${PROGRAM} ${ARGN} --json RESULT_VARIABLE got OUTPUT_VARIABLE out ERROR_VARIABLE err TIMEOUT 300)
  string(JSON figure GET "${out}" preparations_per_item)
  string(JSON rate GET "${out}" hit_rate)
  string(JSON jobs LENGTH "${out}" jobs)
  if(NOT got EQUAL 0 OR figure LESS least OR figure GREATER most OR NOT err STREQUAL "")
    message(SEND_ERROR "shared_loading ${ARGN}\nended with ${got}, ${figure} is not from ${least} to ${most}: ${err}")
  endif()
endfunction()

foreach(jobs 2 4 8)
  expect_figure(1 1 --jobs ${jobs})
  expect_figure(1 1 --jobs ${jobs} --overlap 0.5)
endforeach()
expect_figure(1.5 1.54 --jobs 2 --speeds 1,2)
expect_figure(1.64 1.69 --jobs 2 --offsets 0,0.5)
set(stagger --jobs 8 --offsets 0,0.125,0.25,0.375,0.5,0.625,0.75,0.875)
set(halves --jobs 8 --overlap 0.5 --overlap-kind random)
expect_figure(3.18 3.32 ${stagger})
expect_figure(2.75 2.87 ${halves})
expect_figure(1 1.85 ${stagger} --sampler substitute)
expect_figure(1 1.85 ${stagger} --sampler pairwise+substitute)
expect_figure(1 1.20 ${halves} --sampler pairwise+substitute)
expect_figure(1 1 --jobs 2 --speeds 1,2 --mode L)

expect(0 "preparations per item" --jobs 3 --items 100 --json shared_loading_check/figures.json --correlation)
file(READ shared_loading_check/figures.json figures)
foreach(key preparations_per_item hit_rate correlation_between_epochs correlation_between_jobs)
  string(JSON value GET "${figures}" ${key})
endforeach()
string(JSON delivered GET "${figures}" jobs 2 delivered)
if(NOT delivered EQUAL 100)
  message(SEND_ERROR "a job got ${delivered} of 100 items: ${figures}")
endif()
