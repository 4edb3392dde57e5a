# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
import os

from conan import ConanFile
from conan.tools.build import can_run
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout


class PusherTestConan(ConanFile):
    settings = "os", "arch", "compiler", "build_type"
    test_type = "explicit"

    def requirements(self):
        self.requires(self.tested_reference_str)

    def layout(self):
        cmake_layout(self)

    def generate(self):
        CMakeDeps(self).generate()
        toolchain = CMakeToolchain(self)
        toolchain.user_presets_path = False  # nothing is left in the source folder
        toolchain.cache_variables["WITH_TLS"] = bool(self.dependencies["pusher"].options.tls)
        toolchain.cache_variables["WITH_SQLITE_STORE"] = bool(self.dependencies["pusher"].options.sqlite_store)
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def test(self):
        if can_run(self):
            self.run(os.path.join(self.cpp.build.bindir, "consumer"), env="conanrun")
