# Third-party libraries, each as one imported target. A layer links only those
# its CMakeLists.txt names.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(nng CONFIG REQUIRED)

pkg_check_modules(LMDB REQUIRED IMPORTED_TARGET lmdb)
pkg_check_modules(LIBUV REQUIRED IMPORTED_TARGET libuv)
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c)
pkg_check_modules(CYAML REQUIRED IMPORTED_TARGET libcyaml)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)
if(SHARDGATE_TESTS)
    pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
endif()

find_program(PROTOC_C protoc-c REQUIRED)

# --- libraft ----------------------------------------------------------------
# Exactly 0.22.1: the guards in shard/engine were written against what this
# version does, and 0.15.0 (Debian 12) commits what it must not.

set(raft_prefix "${SHARDGATE_RAFT_PREFIX}")
if(NOT raft_prefix)
    set(raft_cache "$ENV{SHARDGATE_CACHE}")
    if(NOT raft_cache)
        set(raft_cache /var/cache/shardgate)
    endif()
    if(SHARDGATE_RAFT_ASSERT)
        set(raft_prefix ${raft_cache}/raft-0.22.1-assert)
    else()
        set(raft_prefix ${raft_cache}/raft-0.22.1-release)
    endif()
endif()

if(EXISTS ${raft_prefix}/include/raft.h)
    set(raft_include_dir ${raft_prefix}/include)
    set(raft_library ${raft_prefix}/lib/libraft.a)
elseif(SHARDGATE_RAFT_PREFIX OR SHARDGATE_RAFT_ASSERT)
    message(FATAL_ERROR "No libraft in ${raft_prefix}. Run scripts/deps.")
else()
    find_path(raft_include_dir raft.h NO_CACHE)
    # The archive, so that a built program does not depend on the version found at run time.
    find_library(raft_library NAMES libraft.a NO_CACHE)
endif()
if(NOT raft_include_dir OR NOT raft_library)
    message(FATAL_ERROR "libraft 0.22.1 is neither in ${raft_prefix} nor in the system. Run scripts/deps.")
endif()

file(WRITE ${CMAKE_BINARY_DIR}/CMakeFiles/raft_version.c
     "#include <raft.h>\n"
     "_Static_assert(RAFT_VERSION_NUMBER == 2201, \"libraft 0.22.1\");\n"
     "int main(void) { return 0; }\n")
try_compile(raft_version_ok ${CMAKE_BINARY_DIR}/CMakeFiles/raft_version
    ${CMAKE_BINARY_DIR}/CMakeFiles/raft_version.c
    CMAKE_FLAGS "-DINCLUDE_DIRECTORIES=${raft_include_dir}")
if(NOT raft_version_ok)
    message(FATAL_ERROR
        "${raft_include_dir}/raft.h is not libraft 0.22.1 (RAFT_VERSION_NUMBER 2201). Other versions are "
        "refused: 0.15.0 can lose acknowledged entries, and later ones were not examined. "
        "Run scripts/deps, or set SHARDGATE_RAFT_PREFIX.")
endif()
message(STATUS "libraft 0.22.1: ${raft_library}")

add_library(shardgate_raft UNKNOWN IMPORTED GLOBAL)
set_target_properties(shardgate_raft PROPERTIES
    IMPORTED_LOCATION ${raft_library}
    INTERFACE_INCLUDE_DIRECTORIES ${raft_include_dir})
