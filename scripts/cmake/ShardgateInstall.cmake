# The two programs, and what a C program needs that is a client: public headers, the
# library (shared and as an archive), an exported CMake target and a pkg-config file.

include(CMakePackageConfigHelpers)

foreach(program shardgated shardgate)
    if(TARGET ${program})
        install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
    endif()
endforeach()

if(EXISTS ${CMAKE_SOURCE_DIR}/supervisor/include/shardgate)
    install(DIRECTORY supervisor/include/shardgate
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
endif()

install(TARGETS shardgate_client EXPORT shardgateTargets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${CMAKE_BINARY_DIR}/lib/libshardgate.a DESTINATION ${CMAKE_INSTALL_LIBDIR})

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/shardgate)
install(EXPORT shardgateTargets NAMESPACE shardgate:: DESTINATION ${package_dir})
configure_package_config_file(scripts/cmake/shardgateConfig.cmake.in
    ${CMAKE_BINARY_DIR}/shardgateConfig.cmake
    INSTALL_DESTINATION ${package_dir} PATH_VARS CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/shardgateConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
# Relative, so that the prefix can be chosen when installing.
file(RELATIVE_PATH prefix_from_pkgconfig /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(scripts/cmake/shardgate.pc.in ${CMAKE_BINARY_DIR}/shardgate.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/shardgateConfig.cmake ${CMAKE_BINARY_DIR}/shardgateConfigVersion.cmake
    DESTINATION ${package_dir})
install(FILES ${CMAKE_BINARY_DIR}/shardgate.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
