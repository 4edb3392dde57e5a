# Boost, OpenSSL and SQLite as the system has them; nothing is fetched.
include(default)

[settings]
compiler.cppstd=20
build_type=Release

[platform_requires]
boost/1.81.0
openssl/3.0.0
sqlite3/3.40.0

[conf]
tools.cmake.cmaketoolchain:generator=Ninja
