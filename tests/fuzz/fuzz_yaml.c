/* Configuration files. What is accepted comes out of print and parse the same;
 * what is refused says why in one line. */
#include <string.h>

#include "supervisor/config/cluster_yaml.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = ARENA_INIT;
    struct bytes first = BYTES_NONE;
    struct bytes second = BYTES_NONE;
    struct cluster_settings c;
    char why[512] = "";

    fuzz_begin();
    if (cluster_yaml_parse(span_of(data, size), "fuzz.yaml", &a, &c, why, sizeof why) == SG_OK) {
        cluster_yaml_print(&c, &first);
        CHECK(cluster_yaml_parse(span_bytes(&first), "printed.yaml", &a, &c, why, sizeof why) == SG_OK);
        cluster_yaml_print(&c, &second);
        CHECK(span_eq(span_bytes(&first), span_bytes(&second)));
    } else {
        CHECK(why[0] != '\0');
        CHECK(strchr(why, '\n') == NULL);
    }
    bytes_release(&first);
    bytes_release(&second);
    arena_release(&a);
    return 0;
}
