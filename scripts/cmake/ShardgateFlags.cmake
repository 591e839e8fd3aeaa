# shardgate_base: what all code is compiled with, generated code too.
# shardgate_flags: that, and the warnings our own code must be free of.

add_library(shardgate_base INTERFACE)
target_include_directories(shardgate_base INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(shardgate_base INTERFACE
    -fno-omit-frame-pointer
    -fstack-protector-strong
    -fstack-clash-protection)
target_link_options(shardgate_base INTERFACE
    LINKER:-z,relro LINKER:-z,now LINKER:-z,noexecstack LINKER:--as-needed)

if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    target_compile_options(shardgate_base INTERFACE -fcf-protection)
endif()

if(SHARDGATE_FAULTS)
    target_compile_definitions(shardgate_base INTERFACE SHARDGATE_FAULTS)
endif()

if(SHARDGATE_SANITIZE)
    target_compile_options(shardgate_base INTERFACE
        -fsanitize=${SHARDGATE_SANITIZE} -fno-sanitize-recover=all)
    target_link_options(shardgate_base INTERFACE -fsanitize=${SHARDGATE_SANITIZE})
else()
    # Fortified calls hide overflows from the sanitizers and need optimisation.
    target_compile_options(shardgate_base INTERFACE
        $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE>
        $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2>)
endif()

if(SHARDGATE_FUZZ)
    # Coverage for libFuzzer in all code; its main only where fuzz targets are linked.
    target_compile_options(shardgate_base INTERFACE -fsanitize=fuzzer-no-link)
endif()

add_library(shardgate_flags INTERFACE)
target_link_libraries(shardgate_flags INTERFACE shardgate_base)
target_compile_options(shardgate_flags INTERFACE
    -Wall -Wextra -Wpedantic
    -Wno-missing-field-initializers # A row of a table names what it has; the rest is zero.
    -Wshadow
    -Wconversion -Wsign-conversion
    -Wstrict-prototypes -Wmissing-prototypes
    -Wformat=2
    -Wvla
    -Wundef
    -Wswitch-enum
    $<$<BOOL:${SHARDGATE_WERROR}>:-Werror>)
