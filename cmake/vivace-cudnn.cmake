# vivace::cudnn, if cuDNN is installed beside the CUDA toolkit or where the compiler looks.

if(NOT TARGET vivace::cudnn)
  find_path(VIVACE_CUDNN_INCLUDE cudnn.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
  # Packages that serve programs alone bring the library by its version, and no link to it.
  find_library(VIVACE_CUDNN_LIBRARY NAMES cudnn libcudnn.so.9 HINTS ${CUDAToolkit_LIBRARY_DIR})
  mark_as_advanced(VIVACE_CUDNN_INCLUDE VIVACE_CUDNN_LIBRARY)
  if(VIVACE_CUDNN_INCLUDE AND VIVACE_CUDNN_LIBRARY)
    add_library(vivace::cudnn UNKNOWN IMPORTED GLOBAL)
    set_target_properties(vivace::cudnn PROPERTIES IMPORTED_LOCATION ${VIVACE_CUDNN_LIBRARY}
                                                   INTERFACE_INCLUDE_DIRECTORIES ${VIVACE_CUDNN_INCLUDE})
  elseif(NOT vivace_FIND_QUIETLY)
    message(STATUS "vivace: cuDNN was not found, convolutions on a GPU take kernels of vivace's own, which are slower "
                   "(VIVACE_CUDNN_INCLUDE: folder of cudnn.h; VIVACE_CUDNN_LIBRARY: libcudnn.so)")
  endif()
endif()
