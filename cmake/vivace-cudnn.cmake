# vivace::cudnn, if cuDNN is installed beside the CUDA toolkit or where the compiler looks.

if(NOT TARGET vivace::cudnn)
  find_path(VIVACE_CUDNN_INCLUDE cudnn.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
  find_library(VIVACE_CUDNN_LIBRARY cudnn HINTS ${CUDAToolkit_LIBRARY_DIR})
  mark_as_advanced(VIVACE_CUDNN_INCLUDE VIVACE_CUDNN_LIBRARY)
  if(VIVACE_CUDNN_INCLUDE AND VIVACE_CUDNN_LIBRARY)
    add_library(vivace::cudnn UNKNOWN IMPORTED GLOBAL)
    set_target_properties(vivace::cudnn PROPERTIES IMPORTED_LOCATION ${VIVACE_CUDNN_LIBRARY}
                                                   INTERFACE_INCLUDE_DIRECTORIES ${VIVACE_CUDNN_INCLUDE})
  endif()
endif()
