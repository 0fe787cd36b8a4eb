"""Conan 2: conan create cmake/conan --build=missing"""
import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeToolchain
from conan.tools.files import copy, load, rmdir

ROOT = os.path.join("..", "..")


class Vivace(ConanFile):
    name = "vivace"
    description = "Header-only C++20 library that trains neural networks fast"
    license = "Apache-2.0"
    topics = ("neural-networks", "training", "hpc", "header-only")
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"with_tbb": [True, False]}
    default_options = {"with_tbb": True}
    no_copy_source = True

    def set_version(self):
        config = load(self, os.path.join(self.recipe_folder, ROOT, "include", "vivace", "config.hpp"))
        parts = (re.search(rf"VIVACE_VERSION_{part} (\d+)", config)[1] for part in ("MAJOR", "MINOR", "PATCH"))
        self.version = ".".join(parts)

    def export_sources(self):
        for pattern in ("include/*", "cmake/*.cmake", "CMakeLists.txt", "LICENSE"):
            copy(self, pattern, os.path.join(self.recipe_folder, ROOT), self.export_sources_folder)

    def requirements(self):
        if self.options.with_tbb:
            self.requires("onetbb/[>=2021.8]")

    def validate(self):
        check_min_cppstd(self, 20)

    def generate(self):
        toolchain = CMakeToolchain(self)
        for part in ("TESTS", "EXAMPLES", "BENCHMARKS"):
            toolchain.cache_variables[f"VIVACE_{part}"] = False
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()

    def package(self):
        CMake(self).install()
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        rmdir(self, os.path.join(self.package_folder, "share"))  # Conan writes the CMake package itself

    def package_id(self):
        self.info.clear()

    def package_info(self):
        self.cpp_info.set_property("cmake_file_name", "vivace")
        core = self.cpp_info.components["core"]
        core.set_property("cmake_target_name", "vivace::vivace")
        core.bindirs = core.libdirs = []
        if self.options.with_tbb:
            tbb = self.cpp_info.components["tbb"]
            tbb.set_property("cmake_target_name", "vivace::tbb")
            tbb.requires = ["core", "onetbb::libtbb"]
            tbb.bindirs = tbb.libdirs = []
