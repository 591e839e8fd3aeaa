# shardgate_objects(NAME [SOURCES file...] [LINK target...])
#
# One sub-directory of a layer, as an OBJECT library. With no sources yet it is
# an empty INTERFACE library, so that a layer can be built before all of its
# parts exist.
function(shardgate_objects name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LINK")
    if(NOT arg_SOURCES)
        add_library(${name} INTERFACE)
        return()
    endif()
    add_library(${name} OBJECT ${arg_SOURCES})
    target_link_libraries(${name} PRIVATE shardgate_flags PUBLIC ${arg_LINK})
endfunction()

# shardgate_layer(NAME [SOURCES file...] [OBJECTS library...] [LINK target...])
#
# One layer, as one static library made of its own sources and of the object
# libraries of its sub-directories. LINK: the layers to the left and the
# third-party libraries that the layer's code needs at link time.
function(shardgate_layer name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;OBJECTS;LINK")
    set(objects "")
    foreach(library IN LISTS arg_OBJECTS)
        get_target_property(type ${library} TYPE)
        if(type STREQUAL "OBJECT_LIBRARY")
            list(APPEND objects $<TARGET_OBJECTS:${library}>)
        endif()
    endforeach()
    if(NOT arg_SOURCES AND NOT objects)
        add_library(${name} INTERFACE)
        target_link_libraries(${name} INTERFACE ${arg_LINK})
    else()
        add_library(${name} STATIC ${arg_SOURCES} ${objects})
        set_target_properties(${name} PROPERTIES LINKER_LANGUAGE C OUTPUT_NAME shardgate_${name})
        target_link_libraries(${name} PRIVATE $<BUILD_INTERFACE:shardgate_flags> PUBLIC ${arg_LINK})
    endif()
    add_library(shardgate::${name} ALIAS ${name})
    set_property(GLOBAL APPEND PROPERTY shardgate_layers ${name})
endfunction()
