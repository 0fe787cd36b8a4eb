# Runs the program as users do: cmake -DPROGRAM=... -P check.cmake, in a folder that may be filled.
# Wrong options end with status 2 and name the option; files that cannot be used end with status 1.

cmake_minimum_required(VERSION 3.25)
file(REMOVE_RECURSE train_check)
file(MAKE_DIRECTORY train_check)
file(WRITE train_check/file "not a folder")

function(expect status text)
  execute_process(COMMAND ${PROGRAM} ${ARGN} RESULT_VARIABLE got OUTPUT_VARIABLE out ERROR_VARIABLE out TIMEOUT 300)
  if(NOT got STREQUAL status OR NOT out MATCHES "${text}")
    message(SEND_ERROR "train ${ARGN}\nended with ${got}, not ${status}, or does not say '${text}':\n${out}")
  endif()
endfunction()

expect(0 "learning rate" --help)
foreach(wrong "--epochs 0" "--epochs -3" "--epochs many" "--batch 0" "--batch 257" "--rate 0" "--rate -1" "--rate nan"
              "--rate inf" "--rate fast" "--threads -1" "--threads 100000" "--seed -1" "--samples 0" "--network vgg"
              "--out train_check/file" "--out train_check/file/below" "--json train_check" "--json no/such/folder/f")
  separate_arguments(arguments UNIX_COMMAND "${wrong}")
  list(GET arguments 0 option)
  if(NOT wrong MATCHES "^--out")
    list(APPEND arguments --out train_check/out)
  endif()
  expect(2 "${option}" ${arguments})
endforeach()
expect(2 "--colour" --colour blue)
expect(2 "--device" --device abacus)
# On a GPU this trains; without one, or without CUDA in the program, it says so.
set(on_device --device cuda --data shapes --samples 100 --network mlp --epochs 1 --out train_check/device)
execute_process(COMMAND ${PROGRAM} ${on_device} RESULT_VARIABLE got OUTPUT_VARIABLE out ERROR_VARIABLE out TIMEOUT 300)
if(NOT (got EQUAL 0 OR (got EQUAL 1 AND out MATCHES "there is no CUDA device") OR (got EQUAL 2 AND out MATCHES "--device")))
  message(SEND_ERROR "train ${on_device}\nended with ${got}:\n${out}")
endif()
expect(1 "train_check/empty/train-images" --data train_check/empty --out train_check/out)
expect(1 "checkpoint.safetensors" --data shapes --samples 10 --out train_check/out --resume)

# A short training, then one epoch more.
set(short --data shapes --samples 500 --network mlp --threads 2 --out train_check/out)
expect(0 "test accuracy" ${short} --epochs 1 --json train_check/first.json)
expect(0 "goes on after epoch 1 of 2" ${short} --epochs 2 --json train_check/second.json --resume)
expect(1 "another seed" ${short} --epochs 2 --resume --seed 2)
expect(1 "another network" --data shapes --samples 10 --network lenet --out train_check/out --resume)
foreach(written trace.csv trace_batches.csv report.html checkpoint.safetensors)
  if(NOT EXISTS train_check/out/${written})
    message(SEND_ERROR "train_check/out/${written} was not written")
  endif()
endforeach()
file(READ train_check/first.json first)
file(READ train_check/second.json second)
foreach(key network test_accuracy epochs seconds samples_per_second parameters arena_bytes)
  string(JSON value GET "${second}" ${key})
endforeach()
string(JSON epochs GET "${second}" epochs)
string(JSON loss_then GET "${first}" trace 0)
string(JSON loss_now GET "${second}" trace 0)
if(NOT epochs EQUAL 2 OR NOT loss_then STREQUAL loss_now)
  message(SEND_ERROR "the resumed training lost its trace: ${second}")
endif()

# A checkpoint that is cut off.
file(WRITE train_check/out/checkpoint.safetensors "cut")
expect(1 "checkpoint.safetensors" ${short} --epochs 2 --resume)
