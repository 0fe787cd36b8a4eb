# Installs the headers and a relocatable CMake package: find_package(vivace COMPONENTS tbb mpi cuda precompiled).

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_DATADIR}/cmake/vivace)

install(DIRECTORY include/vivace DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.hpp" PATTERN "*.cuh")
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/licenses/vivace)

# One file of targets a component: the package reads those that are asked for.
install(TARGETS vivace EXPORT vivace-targets)
install(EXPORT vivace-targets NAMESPACE vivace:: DESTINATION ${package_dir})
foreach(component IN LISTS vivace_components)
  install(TARGETS vivace_${component} EXPORT vivace-${component}-targets)
  install(EXPORT vivace-${component}-targets NAMESPACE vivace:: DESTINATION ${package_dir})
endforeach()

# Before 1.0 a minor version may change the interface.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/vivace-config-version.cmake
                                 COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES cmake/vivace-config.cmake cmake/vivace-cudnn.cmake cmake/vivace-precompiled.cmake cmake/precompiled.cpp
              ${PROJECT_BINARY_DIR}/vivace-config-version.cmake DESTINATION ${package_dir})
