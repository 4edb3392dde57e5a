#!/usr/bin/env bash
# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#
# Uses pusher in each way that a consumer can, for real: run.sh BUILD_FOLDER [way...]
# BUILD_FOLDER holds `venv` (with Conan) and `boost` (the headers of a newer Boost).
set -euo pipefail

checkout=$(cd "$(dirname "$0")/../.." && pwd)
build=$1
shift
work="$build/consume"
here="$checkout/tests/consume"
export CXX=g++-12

# The longest first, since two run at a time.
ways=(conan separate_compilation newer_boost by_hand find_package tls sqlite_store add_subdirectory fetch_content what_is_missing)

say() { printf 'consume: %s\n' "$*"; }
fail() {
    say "$*" >&2
    exit 1
}

# quiet COMMAND...: its output only if it fails.
quiet() {
    local log="$work/$way.log"
    "$@" >>"$log" 2>&1 || {
        cat "$log" >&2
        fail "$way: failed: $*"
    }
}

# build_and_run PROJECT CMAKE_OPTION...
build_and_run() {
    quiet cmake -S "$here/$1" -B "$work/$way" -G Ninja "${@:2}"
    quiet cmake --build "$work/$way"
    run "$work/$way/consumer"
}

run() {
    local out
    out=$("$@") || fail "$way: the program failed: $out"
    [[ $out == *works ]] || fail "$way: the program said: $out"
}

# refuses PATTERN COMMAND...: the command fails, and says why.
refuses() {
    local out
    if out=$("${@:2}" 2>&1); then
        fail "$way: should have failed: ${*:2}"
    fi
    grep -Eq "$1" <<<"$(tr -s ' \n' '  ' <<<"$out")" || fail "$way: failed without saying '$1':"$'\n'"$out"
}

# Installed once, then moved: an installed package names no folder of the machine that it was made on.
install_pusher() {
    quiet cmake -S "$checkout" -B "$work/install" -G Ninja -D CMAKE_INSTALL_PREFIX="$work/elsewhere" \
        -D PUSHER_BUILD_TESTS=OFF -D PUSHER_BUILD_EXAMPLES=OFF -D PUSHER_BUILD_BENCHMARKS=OFF
    quiet cmake --build "$work/install" --target install
    mv "$work/elsewhere" "$work/prefix"
    ! grep -rIl -e "$work" -e "$checkout" "$work/prefix" || fail "these installed files name folders of this machine"
}

find_package() {
    build_and_run find_package -D CMAKE_PREFIX_PATH="$work/prefix"
}

tls() {
    build_and_run find_package -D CMAKE_PREFIX_PATH="$work/prefix" -D WITH_TLS=ON
}

sqlite_store() {
    build_and_run find_package -D CMAKE_PREFIX_PATH="$work/prefix" -D WITH_SQLITE_STORE=ON
}

separate_compilation() {
    build_and_run find_package -D CMAKE_PREFIX_PATH="$work/prefix" -D WITH_TLS=ON -D WITH_SQLITE_STORE=ON -D PUSHER_SEPARATE_COMPILATION=ON
}

newer_boost() {
    build_and_run find_package -D CMAKE_PREFIX_PATH="$work/prefix" -D PUSHER_BOOST_INCLUDE_DIR="$build/boost"
}

add_subdirectory() {
    build_and_run add_subdirectory -D PUSHER_CHECKOUT="$checkout"
}

fetch_content() {
    local git=(git -c "safe.directory=$checkout" -C "$checkout") commit
    commit=$("${git[@]}" rev-parse HEAD) || fail "$way: needs a git checkout"
    if [ -n "$("${git[@]}" status --porcelain)" ]; then
        say "fetch_content: uses commit ${commit:0:9}; what is not committed is not tested by it"
    fi
    # The clone's other end reads only the user's configuration, and refuses a checkout of another owner's.
    printf '[include]\n\tpath = %s\n[safe]\n\tdirectory = %s\n\tdirectory = %s/.git\n' \
        "${GIT_CONFIG_GLOBAL:-$HOME/.gitconfig}" "$checkout" "$checkout" >"$work/gitconfig"
    GIT_CONFIG_GLOBAL="$work/gitconfig" build_and_run fetch_content \
        -D PUSHER_CHECKOUT="$checkout" -D PUSHER_COMMIT="$commit"
}

conan() {
    local conan="$build/venv/bin/conan" tls
    export CONAN_HOME="$work/conan_home"
    quiet "$conan" profile detect --force
    for tls in False True; do
        quiet "$conan" create "$checkout" --no-remote --build=missing -pr:a "$here/conan.profile" -o "&:tls=$tls" \
            -o "&:sqlite_store=$tls" -c tools.cmake.cmake_layout:test_folder="$work/conan_test"
    done
    grep -q "pusher .* works" "$work/$way.log" || fail "$way: the test package did not run"
}

# Without a build system: one more source file with <pusher/src.hpp>.
by_hand() {
    local flags=(-std=c++20 -I "$checkout/include" -pthread) dir="$work/$way"
    mkdir -p "$dir"
    echo '#include <pusher/src.hpp>' >"$dir/src.cpp"
    quiet ccache "$CXX" "${flags[@]}" -c "$dir/src.cpp" -o "$dir/src.o"
    quiet ccache "$CXX" "${flags[@]}" -c "$here/main.cpp" -o "$dir/main.o"
    quiet "$CXX" "$dir/main.o" "$dir/src.o" -pthread -o "$dir/consumer"
    run "$dir/consumer"
}

# What is missing is told when configuring, and how to get it.
what_is_missing() {
    local empty="$work/empty"
    mkdir -p "$empty"
    local use=(cmake -S "$here/find_package" -G Ninja -D CMAKE_PREFIX_PATH="$work/prefix")
    local hidden=(-D CMAKE_FIND_ROOT_PATH="$empty" -D CMAKE_FIND_ROOT_PATH_MODE_INCLUDE=ONLY
        -D CMAKE_FIND_ROOT_PATH_MODE_LIBRARY=ONLY -D CMAKE_FIND_ROOT_PATH_MODE_PACKAGE=ONLY)
    refuses 'pusher needs the headers of Boost 1.81 or newer and found none.*libboost-json1.81-dev' \
        "${use[@]}" -B "$work/$way/boost" "${hidden[@]}" -D pusher_DIR="$work/prefix/share/cmake/pusher"
    refuses "there is no boost/version.hpp in '$empty'" \
        "${use[@]}" -B "$work/$way/boost_dir" -D PUSHER_BOOST_INCLUDE_DIR="$empty"
    mkdir -p "$empty/boost"
    echo '#define BOOST_LIB_VERSION "1_74"' >"$empty/boost/version.hpp"
    refuses "pusher needs Boost 1.81 or newer: '$empty' has 1.74" \
        "${use[@]}" -B "$work/$way/boost_old" -D PUSHER_BOOST_INCLUDE_DIR="$empty"
    refuses 'pusher::tls needs OpenSSL 1.1.1 or newer and found none.*libssl-dev' \
        "${use[@]}" -B "$work/$way/openssl" -D WITH_TLS=ON -D CMAKE_DISABLE_FIND_PACKAGE_OpenSSL=ON
    refuses 'pusher::tls needs OpenSSL' cmake -S "$checkout" -B "$work/$way/in_tree" -G Ninja \
        -D PUSHER_BUILD_TESTS=OFF -D PUSHER_BUILD_EXAMPLES=OFF -D CMAKE_DISABLE_FIND_PACKAGE_OpenSSL=ON
    refuses 'pusher::sqlite_store needs SQLite 3.31 or newer and found none.*libsqlite3-dev' \
        "${use[@]}" -B "$work/$way/sqlite" -D WITH_SQLITE_STORE=ON -D CMAKE_DISABLE_FIND_PACKAGE_SQLite3=ON
    refuses 'compatible with requested version "9.9"' "${use[@]}" -B "$work/$way/version" -D WANTED_VERSION=9.9
}

if [ "${1:-}" = --way ]; then
    way=$2
    "$way"
    say "$way works"
    exit
fi

rm -rf "$work"
mkdir -p "$work"
way=install
install_pusher
[ $# -gt 0 ] || set -- "${ways[@]}"
printf '%s\0' "$@" | xargs -0 -n 1 -P 2 "$0" "$build" --way || fail "not every way works"
