# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load

required_conan_version = ">=2.0"


class PusherConan(ConanFile):
    name = "pusher"
    description = "Publish and subscribe inside a C++ program, over TCP, UDP, WebSocket and SSE"
    license = "BSL-1.0"
    topics = ("publish-subscribe", "websocket", "server-sent-events", "asio", "header-only")
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"tls": [True, False], "sqlite_store": [True, False]}
    default_options = {"tls": False, "sqlite_store": False}
    exports_sources = "CMakeLists.txt", "LICENSE", "cmake/*", "include/*"

    def set_version(self):
        text = load(self, os.path.join(self.recipe_folder, "include", "pusher", "version.hpp"))
        self.version = re.search(r'PUSHER_VERSION_STRING "([^"]+)"', text)[1]

    def layout(self):
        cmake_layout(self)

    def requirements(self):
        self.requires("boost/[>=1.81.0 <2]", transitive_headers=True, transitive_libs=True)
        if self.options.tls:
            self.requires("openssl/[>=1.1.1 <4]", transitive_headers=True, transitive_libs=True)
        if self.options.sqlite_store:
            self.requires("sqlite3/[>=3.31.0 <4]", transitive_headers=True, transitive_libs=True)

    def package_id(self):
        self.info.clear()

    def validate(self):
        check_min_cppstd(self, 20)

    def generate(self):
        CMakeDeps(self).generate()
        toolchain = CMakeToolchain(self)
        for what in ("BUILD_TESTS", "BUILD_EXAMPLES", "BUILD_BENCHMARKS", "TLS", "SQLITE_STORE"):
            toolchain.cache_variables[f"PUSHER_{what}"] = False
        toolchain.generate()

    def package(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.install()
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))

    def package_info(self):
        # The package's own pusherConfig.cmake is used, since it finds Boost.JSON's library or compiles it.
        self.cpp_info.set_property("cmake_find_mode", "none")
        self.cpp_info.builddirs = [os.path.join("share", "cmake", "pusher")]
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []
