# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

# Runs PROGRAM and wants exit status 0 and exactly the text of OUTPUT on its stdout.
execute_process(COMMAND "${PROGRAM}" OUTPUT_VARIABLE got RESULT_VARIABLE status)
file(READ "${OUTPUT}" want)
if(NOT status STREQUAL "0")
    message(FATAL_ERROR "${PROGRAM} ended with: ${status}\n${got}")
endif()
if(NOT got STREQUAL want)
    message(FATAL_ERROR "${PROGRAM} printed:\n${got}\nand not, as ${OUTPUT} says:\n${want}")
endif()
